// Keeps the event loop of this process alive while a pool has work, except work
// that `unref` has excluded.
import { selector } from '../system/selector.js';

export class LoopHold {
  #work = 0;
  #excluded = 0;
  #isHolding = false;

  /** The number of submissions and jobs. */
  setWork(count: number): void {
    this.#work = count;
    this.#update();
  }

  /** Excludes `change` more of them, or fewer when it is negative. */
  exclude(change: number): void {
    this.#excluded += change;
    this.#update();
  }

  #update(): void {
    const isHolding = this.#work > this.#excluded;
    if (isHolding === this.#isHolding) return;
    this.#isHolding = isHolding;
    if (isHolding) selector.hold();
    else selector.release();
  }
}
