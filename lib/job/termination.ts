// Ends an aborted job: sends SIGTERM to it, and SIGKILL if it has not ended after
// a grace period.
import { constants } from 'node:os';
import { clearTimeout, setTimeout } from 'node:timers';

const graceMs = 5000;
const { SIGTERM, SIGKILL } = constants.signals;

export class Termination {
  readonly #job: { kill(signal: number): unknown };
  #timer: NodeJS.Timeout | undefined;

  constructor(job: { kill(signal: number): unknown }) {
    this.#job = job;
  }

  start(): void {
    this.#job.kill(SIGTERM);
    this.#timer ??= setTimeout(() => {
      this.#job.kill(SIGKILL);
    }, graceMs).unref();
  }

  /** Called once the job is gone. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
