// The submitter's side of a cluster.
import type { RecordableHistogram } from 'node:perf_hooks';
import type { ShutdownOptions, WorkOptions } from '../executor/executor.js';
import type { Executor } from '../executor/interface.js';
import type { ExecutorFuture } from '../executor/queued-call.js';
import type { Callable } from '../functions/function-ref.js';
import type { MapOptions } from '../map/input.js';
import type { MapResult } from '../map/reading.js';
import type { ClusterControls } from './controls.js';
import type { ClusterExecutorOptions } from './options.js';
import type { HostInfo } from './status.js';

/**
 * A queue of calls that the hosts of a cluster run: see {@link ClusterHost}.
 *
 * @example
 * ```js
 * import { ClusterExecutor } from 'jobserver/bullmq';
 * import { render } from './render.mjs';
 *
 * const executor = new ClusterExecutor({ connection: 'redis://db' });
 * for await (const image of executor.map(render, scenes)) await store(image);
 * await executor.shutdown();
 * ```
 */
export class ClusterExecutor implements Executor {
  constructor(options: ClusterExecutorOptions = {}) {
    void options;
  }

  get pending(): number {
    throw new Error('not built yet');
  }

  get running(): number {
    throw new Error('not built yet');
  }

  get completed(): number {
    throw new Error('not built yet');
  }

  get waitTime(): RecordableHistogram {
    throw new Error('not built yet');
  }

  get runTime(): RecordableHistogram {
    throw new Error('not built yet');
  }

  get cpuTime(): RecordableHistogram {
    throw new Error('not built yet');
  }

  submit<A extends unknown[], R>(
    fn: Callable<A, R>,
    ...args: A
  ): ExecutorFuture<Awaited<R>> {
    return this.submitWith({}, fn, ...args);
  }

  submitWith<A extends unknown[], R>(
    options: WorkOptions,
    fn: Callable<A, R>,
    ...args: A
  ): ExecutorFuture<Awaited<R>> {
    void [options, fn, args];
    throw new Error('not built yet');
  }

  map<T, R, S extends boolean = false>(
    fn: Callable<[T], R>,
    items: Iterable<T> | AsyncIterable<T>,
    options: MapOptions<S> & { priority?: number | undefined } = {},
  ): AsyncGenerator<MapResult<T, Awaited<R>, S>> {
    void [fn, items, options];
    throw new Error('not built yet');
  }

  /** A handle on the same connection whose calls also have these controls. */
  with(controls: ClusterControls): ClusterExecutor {
    void controls;
    throw new Error('not built yet');
  }

  /** The hosts that are alive. */
  hosts(): Promise<HostInfo[]> {
    throw new Error('not built yet');
  }

  shutdown(options: ShutdownOptions = {}): Promise<void> {
    void options;
    throw new Error('not built yet');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  ref(): this {
    throw new Error('not built yet');
  }

  unref(): this {
    throw new Error('not built yet');
  }
}
