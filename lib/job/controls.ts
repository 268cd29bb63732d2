// The controls of a handle: what it adds to each call that is submitted through
// it. They are never changed; a derived handle has controls of its own. A
// handle that is passed to a job travels as its controls and a slot pipe.
import { type Context, checkContext, defaultContext } from '../context.js';
import { invalidArgument, invalidValue, outOfRange } from '../errors.js';
import {
  type Callable,
  type FunctionRef,
  nameFunction,
} from '../functions/function-ref.js';
import {
  type EnvAdditions,
  type EnvRevision,
  revise,
} from '../protocol/environment.js';
import type { Preparation } from '../protocol/preparation.js';
import { workerState } from '../protocol/worker-state.js';
import { checkForkable } from '../system/forkable.js';
import { type OptionNames, checkMs, checkOptions } from '../system/options.js';
import { type Signal, signalNumber } from '../system/signals.js';
import { type Encoded, decode, encode } from '../wire/value.js';
import {
  type Attachments,
  type Preexec,
  encodeHandle,
  referenceOf,
  targetOf,
} from './encode-call.js';
import { type PreparationOptions, preparationOf } from './preparation.js';
import type { Reuse } from './running-job.js';
import { type SleepGate, admitAlways } from './submission.js';

export interface Controls {
  readonly context: Context;
  readonly preparation: Preparation;
  /** Milliseconds. */
  readonly forkserverKeepAlive: number;
  /** A signal number; 0: none. */
  readonly orphanSignal: number;
  readonly env: EnvRevision;
  readonly preexec: Preexec | undefined;
  readonly gate: SleepGate;
  /** 1: a process for each job. */
  readonly jobsPerProcess: number;
  /** Milliseconds. */
  readonly idleTimeout: number;
  /** Bytes. */
  readonly maxProcessMemory: number;
}

export interface ControlOptions extends PreparationOptions {
  readonly context?: Context | undefined;
  readonly orphanSignal?: Signal | null | undefined;
  readonly forkserverKeepAlive?: number | undefined;
  readonly jobsPerProcess?: number | undefined;
  readonly idleTimeout?: number | undefined;
  readonly maxProcessMemory?: number | undefined;
}

export function initialControls(options: ControlOptions): Controls {
  const { orphanSignal = 'SIGTERM' } = options;
  const { forkserverKeepAlive = 5000, idleTimeout = 5000 } = options;
  const { jobsPerProcess = 1, maxProcessMemory = Infinity } = options;
  const { ambient } = workerState;
  const context = checkContext(
    options.context ?? ambient?.context ?? defaultContext,
  );
  if (context === 'fork') checkForkable(workerState.isForked);
  return {
    context,
    preparation: preparationOf(options),
    forkserverKeepAlive: checkMs(forkserverKeepAlive, 'forkserverKeepAlive'),
    orphanSignal:
      orphanSignal === null ? 0 : signalNumber(orphanSignal, 'orphanSignal'),
    env: new Map(),
    preexec: undefined,
    gate: admitAlways,
    jobsPerProcess: checkJobsPerProcess(jobsPerProcess, context),
    idleTimeout: checkMs(idleTimeout, 'idleTimeout'),
    maxProcessMemory: checkBytes(maxProcessMemory, 'maxProcessMemory'),
  };
}

/** What {@link Jobserver.with} changes. */
export interface JobControls {
  /**
   * Environment variables of the jobs, in addition to earlier ones; null unsets
   * a variable.
   */
  env?: EnvAdditions | undefined;
  /**
   * A function that the job calls before its own, or an array of one and its
   * arguments. See {@link Jobserver.replacePreexec}. null: none.
   */
  preexec?:
    | Callable<[], unknown>
    | readonly [Callable<never[], unknown>, ...unknown[]]
    | null
    | undefined;
  /** See {@link Jobserver.replaceSleep}. null: none. */
  sleep?: SleepGate | null | undefined;
  /** See {@link JobserverOptions.jobsPerProcess}. */
  jobsPerProcess?: number | undefined;
}

const jobControls: OptionNames<JobControls> = {
  env: true,
  preexec: true,
  sleep: true,
  jobsPerProcess: true,
};

/** `controls` with the user's changes merged in. */
export function merge(controls: Controls, changes: JobControls): Controls {
  const { env, preexec, sleep, jobsPerProcess } = checkOptions(
    changes,
    jobControls,
  );
  const { context } = controls;
  return {
    ...controls,
    ...(env !== undefined && { env: revise(controls.env, env) }),
    ...(preexec !== undefined && { preexec: preexecOf(preexec, context) }),
    ...(sleep !== undefined && { gate: gateOf(sleep) }),
    ...(jobsPerProcess !== undefined && {
      jobsPerProcess: checkJobsPerProcess(jobsPerProcess, context),
    }),
  };
}

function preexecOf(given: unknown, context: Context): Preexec | undefined {
  if (given === null) return undefined;
  const [fn, ...args] = Array.isArray(given) ? (given as unknown[]) : [given];
  return { target: targetOf(fn, context, 'preexec'), args };
}

function gateOf(given: unknown): SleepGate {
  if (given === null) return admitAlways;
  if (typeof given === 'function') return given as SleepGate;
  throw invalidArgument('sleep', 'a function', given);
}

function checkJobsPerProcess(count: unknown, context: Context): number {
  const name = 'jobsPerProcess';
  const expected = 'an integer above 0, or Infinity';
  if (typeof count !== 'number') throw invalidArgument(name, expected, count);
  if (!(count >= 1 && (Number.isSafeInteger(count) || count === Infinity))) {
    throw outOfRange(name, expected, count);
  }
  if (count === 1 || context !== 'fork') return count;
  throw invalidValue(
    name,
    '1 in the fork context, whose jobs run on a copy of the memory of their ' +
      'submitter',
    count,
  );
}

function checkBytes(bytes: unknown, name: string): number {
  if (typeof bytes !== 'number') {
    throw invalidArgument(name, 'a number of bytes', bytes);
  }
  if (!(bytes > 0)) throw outOfRange(name, 'positive', bytes);
  return bytes;
}

/** How the processes of jobs are used; undefined: one for each job. */
export function reuseOf(controls: Controls): Reuse | undefined {
  return controls.jobsPerProcess === 1 ? undefined : controls;
}

/** Controls as plain data. */
export interface SentControls {
  readonly context: Context;
  readonly preparation: Preparation;
  readonly forkserverKeepAlive: number;
  readonly orphanSignal: number;
  readonly jobsPerProcess: number;
  readonly idleTimeout: number;
  readonly maxProcessMemory: number;
  readonly env: readonly (readonly [string, string | null])[];
  readonly preexec: FunctionRef | undefined;
  readonly preexecArgs: Encoded;
  /** Index of the gate among the imports, -1 for none. */
  readonly gate: number;
  /** Same for preexec in the fork context, which needs the function. */
  readonly localPreexec: number;
}

/** Throws for a gate or preexec that no other process can import. */
export function sendControls(
  controls: Controls,
  attachments: Attachments,
): SentControls {
  const { preexec, gate, env, ...plain } = controls;
  const { imports } = attachments;
  const ref = preexec && referenceOf(preexec.target, 'preexec');
  const attach = (fn: FunctionRef): number => imports.push(fn) - 1;
  return {
    ...plain,
    env: [...env],
    preexec: ref,
    preexecArgs: encode(
      preexec?.args ?? [],
      'preexec args',
      encodeHandle(attachments),
    ),
    gate:
      gate === admitAlways ? -1 : attach(nameFunction(gate, 'the sleep gate')),
    localPreexec:
      ref !== undefined && plain.context === 'fork' ? attach(ref) : -1,
  };
}

export function receiveControls(
  sent: SentControls,
  imports: readonly unknown[],
  revive: (data: unknown) => object,
): Controls {
  const args = decode(sent.preexecArgs, revive) as unknown[];
  const local = imports[sent.localPreexec] as Preexec['target'] | undefined;
  return {
    context: sent.context,
    preparation: sent.preparation,
    forkserverKeepAlive: sent.forkserverKeepAlive,
    orphanSignal: sent.orphanSignal,
    jobsPerProcess: sent.jobsPerProcess,
    idleTimeout: sent.idleTimeout,
    maxProcessMemory: sent.maxProcessMemory,
    env: new Map(sent.env),
    preexec: sent.preexec && { target: local ?? sent.preexec, args },
    gate: sent.gate < 0 ? admitAlways : (imports[sent.gate] as SleepGate),
  };
}
