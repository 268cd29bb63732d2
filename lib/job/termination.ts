// Ends a job that was aborted, or has run for too long: sends a signal to it, and
// SIGKILL if it has not ended after a grace period.
import { constants } from 'node:os';
import { KillTimer } from '../launch/kill-timer.js';
import { selector } from '../system/selector.js';
import type { Job } from './plan.js';

const { SIGTERM, SIGKILL } = constants.signals;

export class Termination {
  readonly #job: Pick<Job, 'kill'>;
  readonly #timer: KillTimer;

  constructor(job: Pick<Job, 'kill'>, graceMs: number) {
    this.#job = job;
    this.#timer = new KillTimer(() => job.kill(SIGKILL), graceMs);
  }

  start(signal = SIGTERM, runTimeout = 0): void {
    // Before the signal, because a job that has not begun is gone at once.
    this.#timer.start();
    this.#job.kill(signal, runTimeout);
    // The event loop may have no further turn that would settle the job.
    selector.flush();
  }

  /** Called once the job is gone. */
  stop(): void {
    this.#timer.stop();
  }
}
