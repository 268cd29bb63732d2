// Ends an aborted job: sends SIGTERM to it, and SIGKILL if it has not ended after
// a grace period.
import { constants } from 'node:os';
import { clearTimeout, setTimeout } from 'node:timers';
import { selector } from '../system/selector.js';

const graceMs = 5000;
const { SIGTERM, SIGKILL } = constants.signals;

export class Termination {
  readonly #job: { kill(signal: number): unknown };
  #timer: NodeJS.Timeout | undefined;

  constructor(job: { kill(signal: number): unknown }) {
    this.#job = job;
  }

  start(): void {
    // Before the signal, because a job that has not begun is gone at once.
    this.#timer ??= setTimeout(() => {
      this.#job.kill(SIGKILL);
    }, graceMs).unref();
    this.#job.kill(SIGTERM);
    // The event loop may have no further turn that would settle the job.
    selector.flush();
  }

  /** Called once the job is gone. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
