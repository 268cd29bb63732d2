// The public names, and nothing else.
import { workerState } from './worker-state.js';

export type { Context } from './context.js';
export type { EnvAdditions } from './environment.js';
export { Blocked, CallbackRaised, LostResult } from './errors.js';
export type { Callable } from './funcref.js';
export type { WaitOptions } from './future.js';
export { Future } from './future.js';
export type {
  JobserverOptions,
  MapOptions,
  SubmitOptions,
} from './jobserver.js';
export { Jobserver } from './jobserver.js';
export type { Signal } from './signals.js';
export type { SleepGate } from './submission.js';

/** True in a process that was started to run a job. */
export const isWorker: boolean = workerState.isWorker;
