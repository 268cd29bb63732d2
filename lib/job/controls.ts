// What a handle adds to the calls that it submits, and how a call becomes an
// order. Controls are never changed, only replaced by those of a derived handle.
import { type Context, checkContext, defaultContext } from '../context.js';
import { type EnvRevision, environmentOfJob } from '../protocol/environment.js';
import { codedTypeError, invalidArgument } from '../errors.js';
import {
  type FunctionRef,
  importFunction,
  nameFunction,
} from '../functions/function-ref.js';
import { isUrl, parseExportName } from '../functions/url.js';
import { workerExecArgv } from '../launch/exec-argv.js';
import { checkForkable } from '../launch/fork.js';
import type { Order } from '../launch/launcher.js';
import { type Callee, type LocalCall, packBody } from '../protocol/order.js';
import { type Signal, signalNumber } from '../system/signals.js';
import type { SlotPipe } from '../slots/slot-pipe.js';
import type { SleepGate } from './submission.js';
import { decode, encode, sendable } from '../wire/value.js';
import { workerState } from '../protocol/worker-state.js';

export interface Controls {
  readonly context: Context;
  readonly preload: readonly string[];
  readonly orphanSignal: number;
  readonly env: EnvRevision;
  readonly preexec: Preexec | undefined;
  readonly gate: SleepGate;
}

export interface Preexec {
  /** As it was given: the context decides what becomes of it. */
  readonly fn: unknown;
  readonly args: readonly unknown[];
}

const admitAlways: SleepGate = () => undefined;

export function initialControls(options: {
  readonly context?: Context | undefined;
  readonly orphanSignal?: Signal | null | undefined;
  readonly preload?: Iterable<string | URL> | undefined;
}): Controls {
  const { orphanSignal = 'SIGTERM', preload } = options;
  const { ambient } = workerState;
  const context = checkContext(
    options.context ?? ambient?.context ?? defaultContext,
  );
  if (context === 'fork') checkForkable();
  return {
    context,
    preload:
      preload === undefined ? (ambient?.preload ?? []) : moduleUrls(preload),
    orphanSignal:
      orphanSignal === null ? 0 : signalNumber(orphanSignal, 'orphanSignal'),
    env: new Map(),
    preexec: undefined,
    gate: admitAlways,
  };
}

function moduleUrls(preload: unknown): string[] {
  const expected = 'an iterable of module URLs, paths or names';
  if (
    typeof preload !== 'object' ||
    preload === null ||
    !(Symbol.iterator in preload)
  ) {
    throw invalidArgument('preload', expected, preload);
  }
  return [...(preload as Iterable<unknown>)].map((module, i) => {
    if (typeof module === 'string' || isUrl(module)) {
      return parseExportName(module, `preload[${i}]`).url;
    }
    throw invalidArgument(`preload[${i}]`, 'a URL or string', module);
  });
}

/** A call as the user gave it, checked. */
export interface Call {
  readonly fn: unknown;
  /** Or, when it is mapped, a list of such. */
  readonly args: readonly unknown[];
  readonly isMapped: boolean;
}

/** What goes along with an order beside its bytes. */
export interface Passage {
  readonly slotPipes: SlotPipe[];
  readonly imports: FunctionRef[];
}

/** An object that travels as plain data and what it puts into the passage. */
interface Traveller {
  [sendable](passage: Passage): unknown;
}

/** Throws when the jobs of a handle cannot call this. */
export function checkCallable(fn: unknown, { context }: Controls): void {
  if (context !== 'fork') nameFunction(fn, 'fn');
  else localFunction(fn, 'fn');
}

/** Captures the call with everything that may change until it starts. */
export function orderOf(
  call: Call,
  controls: Controls,
  slots: SlotPipe,
): Order {
  const { context, preload, orphanSignal, env } = controls;
  const encoded =
    context === 'fork'
      ? { body: [], local: localCall(call, controls), slotPipes: [slots] }
      : { ...encodeCall(call, controls, slots), local: undefined };
  return {
    ...encoded,
    env: environmentOfJob(env),
    cwd: process.cwd(),
    execArgv: workerExecArgv(process.execArgv),
    preload,
    orphanSignal,
  };
}

const none = new Uint8Array(0);

function encodeCall(
  call: Call,
  { context, preload, orphanSignal, preexec }: Controls,
  slots: SlotPipe,
): Pick<Order, 'body' | 'slotPipes'> {
  const passage: Passage = { slotPipes: [slots], imports: [] };
  const send = sender(passage);
  const args = encode(call.args, 'args', send);
  const preexecArgs =
    preexec === undefined ? none : encode(preexec.args, 'preexec args', send);
  const head = {
    fn: nameFunction(call.fn, 'fn'),
    isMapped: call.isMapped,
    preexec: preexec && nameFunction(preexec.fn, 'preexec'),
    imports: passage.imports,
    slots: passage.slotPipes.map((pipe) => pipe.count),
    context,
    preload,
    orphanSignal,
  };
  const body = packBody({ head, args, preexecArgs });
  return { body, slotPipes: passage.slotPipes };
}

function localCall(call: Call, { preexec }: Controls): LocalCall {
  return {
    fn: localFunction(call.fn, 'fn'),
    args: call.args,
    isMapped: call.isMapped,
    preexec: preexec && localFunction(preexec.fn, 'preexec'),
    preexecArgs: preexec?.args ?? [],
  };
}

/** A function itself, or one that a URL names and that can be had at once. */
function localFunction(fn: unknown, argument: string): Callee {
  if (typeof fn === 'function') return fn as Callee;
  const imported = importFunction(nameFunction(fn, argument));
  if (typeof imported === 'function') return imported as Callee;
  throw codedTypeError(
    'ERR_JOBSERVER_FUNCTION',
    `Expected \`${argument}\` to be a function, because the fork context ` +
      'cannot wait for an ES module: import it first',
  );
}

function sender(passage: Passage): (handle: object) => unknown {
  return (handle) => (handle as Traveller)[sendable](passage);
}

interface SentControls {
  readonly context: Context;
  readonly preload: readonly string[];
  readonly orphanSignal: number;
  readonly env: readonly (readonly [string, string | null])[];
  readonly preexec: FunctionRef | undefined;
  readonly preexecArgs: Uint8Array;
  /** Index of the gate among the imports, -1 for none. */
  readonly gate: number;
}

/** A gate that only this process knows is an error, like any such function. */
export function sendControls(
  controls: Controls,
  passage: Passage,
): SentControls {
  const { context, preload, orphanSignal, env, preexec, gate } = controls;
  const hasGate = gate !== admitAlways;
  if (hasGate) passage.imports.push(nameFunction(gate, 'the sleep gate'));
  const args = preexec?.args ?? [];
  return {
    context,
    preload,
    orphanSignal,
    env: [...env],
    preexec: preexec && nameFunction(preexec.fn, 'preexec'),
    preexecArgs: encode(args, 'preexec args', sender(passage)),
    gate: hasGate ? passage.imports.length - 1 : -1,
  };
}

export function receiveControls(
  sent: SentControls,
  imports: readonly unknown[],
  revive: (data: unknown) => object,
): Controls {
  const args = decode(sent.preexecArgs, revive) as unknown[];
  return {
    context: sent.context,
    preload: sent.preload,
    orphanSignal: sent.orphanSignal,
    env: new Map(sent.env),
    preexec: sent.preexec && { fn: sent.preexec, args },
    gate: sent.gate < 0 ? admitAlways : (imports[sent.gate] as SleepGate),
  };
}

/** The arguments of a call, copied. */
export function checkArgs(args: unknown, name = 'args'): unknown[] {
  if (args === undefined) return [];
  // A string is iterable too, and would be spread into its characters.
  if (typeof args === 'object' && args !== null && Symbol.iterator in args) {
    if (!(args instanceof Map)) return [...(args as Iterable<unknown>)];
  }
  throw invalidArgument(name, 'an array', args);
}
