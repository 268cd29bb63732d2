// Who waits for room in the queue of an executor, in the order of their calls. One
// after another is told of it, and can submit before the next is told, so that they
// do not all submit into one free place.
import { Link, List } from '../system/list.js';

export class Room {
  readonly #isFree: () => boolean;
  readonly #waiting = new List<() => void>();
  #isTelling = false;

  constructor(isFree: () => boolean) {
    this.#isFree = isFree;
  }

  /** Resolves when there is room. */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(new Link(resolve));
      this.notify();
    });
  }

  /** Called when there may be room. */
  notify(): void {
    if (this.#waiting.size === 0 || this.#isTelling || !this.#isFree()) return;
    this.#isTelling = true;
    this.#waiting.shift()!();
    // After the microtasks, in which the one that was told submits.
    queueMicrotask(() => {
      process.nextTick(() => {
        this.#isTelling = false;
        this.notify();
      });
    });
  }
}
