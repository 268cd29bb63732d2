// What the executors have in common, wherever their jobs run.
import type { RecordableHistogram } from 'node:perf_hooks';
import type { Callable } from '../functions/function-ref.js';
import type { MapOptions } from '../map/input.js';
import type { MapResult } from '../map/reading.js';
import type { ShutdownOptions, WorkOptions } from './executor.js';
import type { ExecutorFuture } from './queued-call.js';

/**
 * A queue of calls, each of which is a job: a {@link JobserverExecutor}, whose jobs
 * run on this machine, or the `ClusterExecutor` of jobserver/bullmq, whose jobs run
 * on many.
 *
 * @example
 * ```ts
 * async function squares(executor: Executor): Promise<number[]> {
 *   return Promise.all([1, 2, 3].map((n) => executor.submit(square, n)));
 * }
 * ```
 */
export interface Executor extends AsyncDisposable {
  /** The number of calls that no process has begun. */
  readonly pending: number;
  /** The number of calls whose process has started and has not ended. */
  readonly running: number;
  /** The number of calls whose process has ended. */
  readonly completed: number;
  /** Nanoseconds from submit to the start of the process, of completed calls. */
  readonly waitTime: RecordableHistogram;
  /** Nanoseconds from the start of the process to its end. */
  readonly runTime: RecordableHistogram;
  /** Nanoseconds of CPU time of each completed call, where that is known. */
  readonly cpuTime: RecordableHistogram;
  /** See {@link JobserverExecutor.submit}. */
  submit<A extends unknown[], R>(
    fn: Callable<A, R>,
    ...args: A
  ): ExecutorFuture<Awaited<R>>;
  /** See {@link JobserverExecutor.submitWith}. */
  submitWith<A extends unknown[], R>(
    options: WorkOptions,
    fn: Callable<A, R>,
    ...args: A
  ): ExecutorFuture<Awaited<R>>;
  /** See {@link JobserverExecutor.map}. */
  map<T, R, S extends boolean = false>(
    fn: Callable<[T], R>,
    items: Iterable<T> | AsyncIterable<T>,
    options?: MapOptions<S> & { priority?: number | undefined },
  ): AsyncGenerator<MapResult<T, Awaited<R>, S>>;
  /** See {@link JobserverExecutor.shutdown}. */
  shutdown(options?: ShutdownOptions): Promise<void>;
  /** See {@link JobserverExecutor.ref}. */
  ref(): this;
  /** See {@link JobserverExecutor.unref}. */
  unref(): this;
}
