// How a call becomes an order. The function is named once, when it is checked;
// everything that may change until the job starts is captured here.
import { types } from 'node:util';
import type { Context } from '../context.js';
import { codedTypeError, invalidArgument } from '../errors.js';
import {
  type FunctionRef,
  importFunction,
  nameFunction,
} from '../functions/function-ref.js';
import { workerExecArgv } from '../launch/exec-argv.js';
import type { JobStart } from '../launch/launchers.js';
import {
  environmentOfJob,
  environmentOfNextJob,
  workingDirectory,
} from '../protocol/environment.js';
import {
  type Callee,
  type Head,
  type LocalCall,
  type Order,
  bufferOf,
  packHead,
} from '../protocol/order.js';
import type { SlotPipe } from '../slots/slot-pipe.js';
import { encode, sendable } from '../wire/value.js';
import type { Controls } from './controls.js';
import type { Plan } from './running-job.js';

/**
 * What a job calls: the name of a function that it imports, or in the fork
 * context the function itself.
 */
export type Target = FunctionRef | Callee;

export interface Preexec {
  readonly target: Target;
  readonly args: readonly unknown[];
}

/** A checked call. */
export interface Call {
  readonly target: Target;
  /** The function as the user gave it. */
  readonly fn: unknown;
  /** The arguments, or a list of argument lists when `isMapped`. */
  readonly args: readonly unknown[];
  readonly isMapped: boolean;
}

/** Throws when a job of this context cannot call `fn`. */
export function targetOf(
  fn: unknown,
  context: Context,
  argument = 'fn',
): Target {
  if (context !== 'fork') return nameFunction(fn, argument);
  if (typeof fn === 'function') return fn as Callee;
  const imported = importFunction(nameFunction(fn, argument));
  if (typeof imported === 'function') return imported as Callee;
  throw codedTypeError(
    'ERR_JOBSERVER_FUNCTION',
    `Expected \`${argument}\` to be a function, because the fork context ` +
      'cannot wait for an ES module: import it first',
  );
}

/** The name of a target. Throws for a function that only this process has. */
export function referenceOf(target: Target, argument: string): FunctionRef {
  return typeof target === 'function' ? nameFunction(target, argument) : target;
}

/** Captures the call, the environment, the working directory and options. */
export function encodeCall(
  call: Call,
  controls: Controls,
  slots: SlotPipe,
): Pick<Plan, 'order' | 'functions'> {
  const isFork = controls.context === 'fork';
  const { functions, ...body } = isFork
    ? { body: [], slotPipes: [slots], functions: [] }
    : encodeBody(call, controls, slots);
  const order = {
    ...body,
    local: isFork ? localCall(call, controls) : undefined,
    ...startOf(controls),
    cwd: workingDirectory(),
    keepAlive: controls.forkserverKeepAlive,
    orphanSignal: controls.orphanSignal,
  };
  return { order, functions };
}

/** How the process of a job that is submitted now would start. */
export function startOf({
  context,
  preload,
  env,
  jobsPerProcess,
}: Controls): JobStart {
  return {
    context,
    env: jobsPerProcess > 1 ? environmentOfNextJob(env) : environmentOfJob(env),
    execArgv: workerExecArgv(process.execArgv),
    preload,
  };
}

/** What Jobserver handles among the arguments add to an order. */
export interface Attachments {
  readonly slotPipes: SlotPipe[];
  readonly imports: FunctionRef[];
}

/** An object that travels as plain data and attachments. */
interface Handle {
  [sendable](attachments: Attachments): unknown;
}

/** For `encode`: turns a handle among the values into plain data. */
export function encodeHandle(
  attachments: Attachments,
): (handle: object) => unknown {
  return (handle) => (handle as Handle)[sendable](attachments);
}

const noBytes = new Uint8Array(0);

function encodeBody(
  { target, args, isMapped }: Call,
  { context, preload, orphanSignal, preexec }: Controls,
  slots: SlotPipe,
): Pick<Order, 'body' | 'slotPipes'> & Pick<Plan, 'functions'> {
  const attachments: Attachments = { slotPipes: [slots], imports: [] };
  const { slotPipes, imports } = attachments;
  const toData = encodeHandle(attachments);
  const encodedArgs = encode(args, 'args', toData);
  const preexecArgs =
    preexec === undefined
      ? noBytes
      : encode(preexec.args, 'preexec args', toData);
  const fn = referenceOf(target, 'fn');
  const preexecRef = preexec && referenceOf(preexec.target, 'preexec');
  const isPlain = preexec === undefined && attachments.slotPipes.length === 1;
  const head = {
    fn,
    isMapped,
    preexec: preexecRef,
    imports,
    hasClaims: false,
    slots: slotPipes.map((pipe) => pipe.count),
    context,
    preload,
    orphanSignal,
  };
  const packed =
    isPlain && imports.length === 0 ? packPlainHead(head) : packHead(head);
  return {
    body: [packed, bufferOf(encodedArgs), bufferOf(preexecArgs)],
    slotPipes,
    functions: [fn, ...(preexecRef ? [preexecRef] : []), ...imports],
  };
}

const plainHeads = new WeakMap<
  FunctionRef,
  { readonly key: string; readonly bytes: Buffer }
>();

/** Most jobs call the function of the job before, with the same options. */
function packPlainHead(head: Head): Buffer {
  const { fn, isMapped, slots, context, preload, orphanSignal } = head;
  const options = [isMapped, slots[0], context, orphanSignal, ...preload];
  const key = options.join('\0');
  let known = plainHeads.get(fn);
  if (known?.key !== key) {
    known = { key, bytes: packHead(head) };
    plainHeads.set(fn, known);
  }
  return known.bytes;
}

function localCall(
  { target, args, isMapped }: Call,
  { preexec }: Controls,
): LocalCall {
  return {
    fn: target as Callee,
    args,
    isMapped,
    preexec: preexec?.target as Callee | undefined,
    preexecArgs: preexec?.args ?? [],
  };
}

/** A copy of the arguments of a call. */
export function checkArgs(args: unknown, name = 'args'): unknown[] {
  if (args === undefined) return [];
  // A string is iterable too, and would be spread into its characters.
  if (typeof args === 'object' && args !== null && Symbol.iterator in args) {
    if (!types.isMap(args)) return [...(args as Iterable<unknown>)];
  }
  throw invalidArgument(name, 'an array', args);
}
