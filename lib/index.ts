// The public names, and nothing else.
import './system/host.js';
import { workerState } from './protocol/worker-state.js';

export type { Context } from './context.js';
export type { Readiness } from './launch/readiness.js';
export { channel } from './protocol/channel.js';
export type { PortEvents } from './protocol/job-port.js';
export { JobPort } from './protocol/job-port.js';
export type { EnvAdditions } from './protocol/environment.js';
export { afterFork } from './protocol/fork-callbacks.js';
export { allocate, share } from './memory/allocate.js';
export { move } from './memory/move.js';
export type { MemoryUse, SharedMemory } from './memory/usage.js';
export { sharedMemory } from './memory/usage.js';
export { notify, wait } from './memory/wait.js';
export { Blocked, CallbackRaised, LostResult } from './errors.js';
export type {
  ExecutorOptions,
  ShutdownOptions,
  WorkOptions,
} from './executor/executor.js';
export { JobserverExecutor } from './executor/executor.js';
export type { Executor } from './executor/interface.js';
export type { Callable } from './functions/function-ref.js';
export { inline } from './functions/function-ref.js';
export type { WaitOptions } from './job/future.js';
export { Future } from './job/future.js';
export type { JobControls } from './job/job-controls.js';
export type { PreloadedModule } from './job/preparation.js';
export type { ResourceLimits } from './protocol/settings.js';
export type { JobInfo } from './job/info.js';
export { jobInfo } from './job/info.js';
export { jobSignal } from './job/job-signal.js';
export { report } from './job/report.js';
export { slotNumber } from './job/slot-number.js';
export type { JobRecord } from './job/record.js';
export type { JobOutput, LineOutput, OutputListener } from './job/streams.js';
export type { JobUsage, ProcessUsage } from './usage.js';
export type {
  CloseOptions,
  JobserverOptions,
  SubmitOptions,
} from './jobserver.js';
export { Jobserver } from './jobserver.js';
export type { MapOptions } from './map/input.js';
export type { MapResult, SettledItem } from './map/reading.js';
export type { Signal } from './system/signals.js';
export type { SleepGate } from './job/submission.js';
export type { ExecutorFuture, WorkState } from './executor/queued-call.js';

/**
 * True in a process that was started to run a job. A job imports its function's
 * module: guard that module's main part with it. See {@link Jobserver} for an
 * example.
 */
export const isWorker: boolean = workerState.isWorker;
