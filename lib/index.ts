// The public names, and nothing else.
import { workerState } from './worker-state.js';

export type { Context } from './context.js';
export type { EnvAdditions } from './environment.js';
export { Blocked, CallbackRaised, LostResult } from './errors.js';
export type { ShutdownOptions, WorkOptions } from './executor.js';
export { JobserverExecutor } from './executor.js';
export type { Callable } from './funcref.js';
export type { WaitOptions } from './future.js';
export { Future } from './future.js';
export type { JobRecord } from './job-record.js';
export type { JobserverOptions, SubmitOptions } from './jobserver.js';
export { Jobserver } from './jobserver.js';
export type { MapOptions } from './map-input.js';
export type { Signal } from './signals.js';
export type { SleepGate } from './submission.js';
export type { ExecutorFuture, WorkState } from './work.js';

/** True in a process that was started to run a job. */
export const isWorker: boolean = workerState.isWorker;
