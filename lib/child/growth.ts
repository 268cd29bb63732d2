// How much memory a process that runs several jobs has gained since its start.
import { now } from '../system/deadline.js';
import { trace } from '../system/trace.js';

// Reading it takes longer than a small job, so it is read no more often.
const restMs = 20;

export class Growth {
  readonly #limit: number;
  readonly #atStart: number;
  #readAt = -Infinity;

  /** `limit`: in bytes. */
  constructor(limit: number) {
    this.#limit = limit;
    this.#atStart = limit === Infinity ? 0 : process.memoryUsage.rss();
  }

  /** Called after each job. */
  isTooMuch(): boolean {
    if (this.#limit === Infinity || now() < this.#readAt + restMs) return false;
    const growth = process.memoryUsage.rss() - this.#atStart;
    this.#readAt = now();
    if (growth <= this.#limit) return false;
    trace('the process has gained %d bytes, so it ends', growth);
    return true;
  }
}
