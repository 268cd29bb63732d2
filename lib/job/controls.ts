// The controls of a handle: what it adds to each call that is submitted through
// it. They are never changed; a derived handle has controls of its own.
import { type Context, checkContext, defaultContext } from '../context.js';
import { invalidArgument, invalidValue, outOfRange } from '../errors.js';
import type { EnvRevision } from '../protocol/environment.js';
import type { Preparation } from '../protocol/preparation.js';
import { defaultGraceMs } from '../protocol/settings.js';
import { workerState } from '../protocol/worker-state.js';
import { checkForkable } from '../system/forkable.js';
import { checkMost, checkMs } from '../system/options.js';
import {
  type Signal,
  checkKillSignal,
  signalNumber,
} from '../system/signals.js';
import type { Preexec } from './encode-call.js';
import { type PreparationOptions, preparationOf } from './preparation.js';
import type { Bounds, Reuse } from './plan.js';
import { type StreamControls, initialStreams } from './streams.js';
import { type SleepGate, admitAlways } from './submission.js';

export interface Controls extends Bounds, StreamControls {
  /** An absolute path; undefined: that of this process. */
  readonly cwd: string | undefined;
  readonly execArgv: readonly string[];
  /** Options of node, in addition to those of this process. */
  readonly nodeOptions: readonly string[];
  /** False: they are all, but for permissions. */
  readonly inheritsExecArgv: boolean;
  readonly context: Context;
  readonly preparation: Preparation;
  /** Milliseconds. */
  readonly forkserverKeepAlive: number;
  /** A signal number; 0: none. */
  readonly orphanSignal: number;
  readonly closeSignal: number | undefined;
  /** See {@link JobControls.processGroup}. */
  readonly processGroup: boolean;
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
  readonly closeSignal?: Signal | undefined;
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
    closeSignal: checkKillSignal(options.closeSignal, 'closeSignal'),
    // Otherwise the jobs of the job would be in its group: a signal to that would
    // end them before anyone could give their slots back.
    processGroup: ambient?.leadsGroup === true && orphanSignal !== null,
    env: new Map(),
    preexec: undefined,
    gate: admitAlways,
    jobsPerProcess: checkJobsPerProcess(jobsPerProcess, context),
    idleTimeout: checkMs(idleTimeout, 'idleTimeout'),
    maxProcessMemory: checkBytes(maxProcessMemory, 'maxProcessMemory'),
    runTimeout: Infinity,
    killGrace: defaultGraceMs,
    retries: 0,
    onReport: undefined,
    cwd: undefined,
    execArgv: [],
    nodeOptions: [],
    inheritsExecArgv: true,
    settings: undefined,
    maxHeapMb: undefined,
    ...initialStreams,
  };
}

export function checkJobsPerProcess(count: unknown, context: Context): number {
  const name = 'jobsPerProcess';
  const checked = checkMost(count, name, 1);
  if (checked === 1 || context !== 'fork') return checked;
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
