// What a job says while it runs.
import { workerState } from '../protocol/worker-state.js';

/**
 * In a job: sends a value to the process that has submitted the job, whose
 * {@link JobControls.onReport} gets it while the job runs. Waits for nothing but room
 * in the socket. It does nothing when the submitter has no `onReport`, outside of a job,
 * and after the job has returned.
 *
 * @example
 * ```js
 * export function convert(files) {
 *   for (const [i, file] of files.entries()) {
 *     convertFile(file);
 *     report({ done: i + 1, of: files.length });
 *   }
 * }
 * ```
 *
 * @param value - Whatever can be an argument of a job, except for a Jobserver and a
 * port.
 * @throws TypeError with code ERR_JOBSERVER_NOT_SERIALIZABLE for another value, if
 * somebody listens.
 */
export function report(value: unknown): void {
  if (workerState.job?.isHeard === true) workerState.ambient?.report(value);
}
