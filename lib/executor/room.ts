// The callers of `drained` that wait for room in the queue of an executor, the one that
// has waited longest first. Each promise is resolved only after the caller before it
// could submit a call, because otherwise all would submit into one free place.
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
    // The caller submits in microtasks, which run before the next tick.
    queueMicrotask(() => {
      process.nextTick(() => {
        this.#isTelling = false;
        this.notify();
      });
    });
  }
}
