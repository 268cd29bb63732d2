// What a job can learn about itself.
import type { Context } from '../context.js';
import { workerState } from '../protocol/worker-state.js';

/** What {@link jobInfo} returns. */
export interface JobInfo {
  /** Process id of the job. */
  readonly pid: number;
  /** How the process of the job was started. */
  readonly context: Context;
  /** How often the job was started, with this time; see {@link JobControls.retries}. */
  readonly attempt: number;
}

/**
 * The job that this process runs; undefined in a process that was not started to
 * run a job.
 *
 * @example
 * ```js
 * export function test(file) {
 *   const { attempt } = jobInfo();
 *   if (attempt > 1) console.log(`${file}: attempt ${attempt}`);
 * }
 * ```
 */
export function jobInfo(): JobInfo | undefined {
  const { ambient, job } = workerState;
  if (ambient === undefined) return undefined;
  const { context } = ambient;
  return { pid: process.pid, context, attempt: job?.attempt ?? 1 };
}
