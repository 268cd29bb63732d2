// Which controls of a handle travel to another machine, and how.
import type { ExecutorFuture } from '../executor/queued-call.js';
import type { JobControls } from '../job/job-controls.js';

/**
 * What {@link ClusterExecutor.with} changes: the {@link JobControls} that have a
 * meaning on another machine. `sleep` and `preexec` have none.
 *
 * @example
 * ```js
 * const limited = executor.with({ runTimeout: 60_000, env: { LEVEL: '2' } });
 * ```
 */
export interface ClusterControls extends Omit<
  JobControls,
  'sleep' | 'preexec' | 'onReport' | 'output'
> {
  /**
   * Called in this process with each value that a job gives to {@link report}, in
   * their order, before the promise of the call is settled. null: none. What it
   * throws becomes an uncaught exception.
   */
  onReport?:
    | ((value: unknown, promise: ExecutorFuture<unknown>) => void)
    | null
    | undefined;
  /**
   * As {@link JobControls.output}. 'inherit' is where the host writes; a function, or
   * an object with `lines`, is called in this process.
   */
  output?:
    | 'inherit'
    | 'ignore'
    | 'group'
    | 'capture'
    | ClusterOutputListener<Buffer>
    | { readonly lines: ClusterOutputListener<string> }
    | undefined;
}

/** Called with what a job has written, and with the promise of its call. */
export type ClusterOutputListener<T> = (
  data: T,
  stream: 'stdout' | 'stderr',
  promise: ExecutorFuture<unknown>,
) => unknown;
