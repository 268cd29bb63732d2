// How a job learns that it is to end.
import { workerState } from '../protocol/worker-state.js';

let never: AbortSignal | undefined;

/**
 * In a job: an AbortSignal that is aborted when the job is asked to end. Outside of
 * a job, and in a thread that a job has started: one that is never aborted.
 *
 * A job is asked to end by SIGTERM, SIGINT, SIGHUP or its `orphanSignal`. They come
 * from `runTimeout`, an AbortSignal, {@link Future.kill}, `close` with a `killSignal`,
 * Ctrl-C, or the death of the submitter. From the first call on, these signals do not
 * end the job, which can clean up. SIGKILL follows after `killGrace`:
 * from the submitter if it sent the signal, and from the job itself if the submitter
 * has died.
 *
 * The reason of the abort is a DOMException: a TimeoutError after `runTimeout`
 * (Linux), otherwise an AbortError that names the signal. All calls in one job return
 * the same object. In a process that runs several jobs, each job has one of its own,
 * which is not aborted once the job has ended.
 *
 * The 'abort' event needs a turn of the event loop, or a call that blocks the thread
 * until another job ends. A job that computes, and any job of the fork context, calls
 * `jobSignal()` again instead, and looks at `aborted`.
 *
 * @example
 * ```js
 * export async function convert(file) {
 *   const scratch = await mkdtemp(join(tmpdir(), 'convert-'));
 *   try {
 *     await execFile('ffmpeg', ['-i', file, 'out.mp4'], {
 *       cwd: scratch,
 *       signal: jobSignal(),
 *     });
 *   } finally {
 *     await rm(scratch, { recursive: true });
 *   }
 * }
 * ```
 */
export function jobSignal(): AbortSignal {
  const { ambient } = workerState;
  return ambient?.signal() ?? (never ??= new AbortController().signal);
}
