// A channel between two processes.
import { openSocketPair } from '../system/fd.js';
import { type JobPort, portControl } from './job-port.js';

/**
 * Makes the two ends of a channel, over which two processes talk to each other. One
 * end is passed to a job, as an argument or a part of one, and cannot be used here any
 * more; the job may pass it on to a job of its own. When such a job is lost, or is
 * ended, the end that stayed closes with the error of its Future.
 *
 * @example
 * ```js
 * import { Jobserver, channel, isWorker } from 'jobserver';
 *
 * export async function answer(port) {
 *   for await (const question of port) port.postMessage(question * 2);
 * }
 *
 * if (!isWorker) {
 *   const jobserver = new Jobserver();
 *   const [port, theirs] = channel();
 *   const done = jobserver.run(answer, theirs);
 *   port.postMessage(21);
 *   port.once('message', (value) => {
 *     console.log(value); // 42
 *     port.close(); // ends the loop in the job
 *   });
 *   await done;
 *   await jobserver.close();
 * }
 * ```
 *
 * @throws a system error when no socket can be opened.
 */
export function channel(): [JobPort, JobPort] {
  const { reader, writer } = openSocketPair('a channel');
  return portControl.pair(reader, writer);
}
