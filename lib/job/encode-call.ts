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
import { ownExecArgv, workerExecArgv } from '../launch/exec-argv.js';
import type { JobStart } from '../launch/launchers.js';
import { Enclosures } from '../memory/enclosures.js';
import { move, takeMarked } from '../memory/move.js';
import {
  environmentOfJob,
  environmentOfNextJob,
  workingDirectory,
} from '../protocol/environment.js';
import {
  type Callee,
  type LocalCall,
  type Mapping,
  type Order,
  packHead,
} from '../protocol/order.js';
import type { JobFacts } from '../protocol/worker-state.js';
import type { SlotPipe } from '../slots/slot-pipe.js';
import {
  type BufferRange,
  type Encoded,
  type Place,
  encode,
} from '../wire/value.js';
import {
  type Attachments,
  checkPorts,
  encodeHandle,
  takePorts,
} from './attachments.js';
import type { Controls } from './controls.js';
import { factsOf, headOf, plainHead } from './head.js';
import type { Plan } from './plan.js';

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
  readonly args: readonly unknown[];
  readonly mapping: Mapping;
  /** What the job of a cluster knows besides. */
  readonly facts?: Pick<JobFacts, 'attempt' | 'cluster'> | undefined;
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
  const { body, slotPipes, functions, enclosures, ports } = isFork
    ? localBody(slots)
    : encodeBody(call, controls, slots);
  const { env, execArgv } = startOf(controls);
  const order: Order = {
    body,
    slotPipes,
    local: isFork ? localCall(call, controls) : undefined,
    context: controls.context,
    env,
    execArgv,
    preparation: controls.preparation,
    functions: controls.preparation.preload.isAuto ? functions : undefined,
    cwd: controls.cwd ?? workingDirectory(),
    settings: controls.settings,
    killGrace: controls.killGrace,
    processGroup: controls.processGroup,
    keepAlive: controls.forkserverKeepAlive,
    orphanSignal: controls.orphanSignal,
    maxProcessMemory: controls.maxProcessMemory,
    enclosures,
    ports,
  };
  return { order, functions };
}

/** How the process of a job that is submitted now would start. */
export function startOf({
  context,
  preparation,
  env,
  jobsPerProcess,
  nodeOptions,
  inheritsExecArgv,
}: Controls): JobStart {
  return {
    context,
    env: jobsPerProcess > 1 ? environmentOfNextJob(env) : environmentOfJob(env),
    execArgv: inheritsExecArgv
      ? workerExecArgv(process.execArgv, nodeOptions)
      : ownExecArgv(process.execArgv, nodeOptions),
    preparation,
  };
}

type CallBody = Pick<Order, 'body' | 'slotPipes' | 'enclosures' | 'ports'> &
  Pick<Plan, 'functions'>;

function localBody(slots: SlotPipe): CallBody {
  const enclosures = undefined;
  return { body: [], slotPipes: [slots], functions: [], enclosures };
}

/** Those of the call that is being encoded. */
let noted: Enclosures | undefined;

function note(ranges: readonly BufferRange[]): readonly Place[] {
  noted ??= new Enclosures();
  return noted.note(ranges);
}

function takeNoted({ retries }: Controls): Enclosures | undefined {
  const enclosures = noted;
  noted = undefined;
  if (enclosures === undefined) return undefined;
  if (retries > 0 && enclosures.isMoving) throw movesAndRetries();
  enclosures.commit();
  if (retries > 0) enclosures.keep();
  return enclosures;
}

function movesAndRetries(): TypeError {
  return codedTypeError(
    'ERR_JOBSERVER_NOT_SERIALIZABLE',
    'Not serializable: a buffer that is moved, because a job with `retries` may ' +
      'need it again: send it without `move`',
  );
}

function encodeBody(call: Call, controls: Controls, slots: SlotPipe): CallBody {
  const { target, args } = call;
  const { preexec } = controls;
  const attachments: Attachments = {
    slotPipes: [slots],
    imports: [],
    ports: [],
  };
  const { slotPipes, imports, ports } = attachments;
  const toData = encodeHandle(attachments);
  noted = undefined;
  const encodedArgs = encode(args, 'args', toData, note);
  const fn = referenceOf(target, 'fn');
  const isPlain =
    preexec === undefined &&
    call.facts === undefined &&
    slotPipes.length === 1 &&
    imports.length === 0 &&
    ports.length === 0;
  if (isPlain) {
    const { bytes, functions } = plainHead(fn, call, controls, slots);
    const enclosures = takeNoted(controls);
    return { body: [bytes, encodedArgs, ''], slotPipes, functions, enclosures };
  }
  const preexecArgs: Encoded =
    preexec === undefined
      ? ''
      : encode(preexec.args, 'preexec args', toData, note);
  const preexecRef = preexec && referenceOf(preexec.target, 'preexec');
  const head = headOf(controls, slotPipes, {
    ...factsOf(call, controls),
    fn,
    mapping: call.mapping,
    preexec: preexecRef,
    imports,
    ports: ports.length > 0 ? ports.length : undefined,
  });
  checkPorts(attachments, controls);
  return {
    body: [packHead(head), encodedArgs, preexecArgs],
    slotPipes,
    functions: [fn, ...(preexecRef ? [preexecRef] : []), ...imports],
    enclosures: takeNoted(controls),
    ports: takePorts(attachments),
  };
}

function localCall(call: Call, controls: Controls): LocalCall {
  const { target, args, mapping } = call;
  const { preexec, retries } = controls;
  const moved = takeMarked(preexec === undefined ? args : [args, preexec.args]);
  if (retries > 0 && moved.length > 0) {
    moved.forEach(move);
    throw movesAndRetries();
  }
  return {
    fn: target as Callee,
    args,
    mapping,
    job: factsOf(call, controls),
    preexec: preexec?.target as Callee | undefined,
    preexecArgs: preexec?.args ?? [],
    moved,
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
