// Who waits for a slot of one pipe in this process, the oldest first. The line
// is in the selector only while somebody waits.
import type { SlotPipe, Token } from '../slots/slot-pipe.js';
import { Queue } from '../system/queue.js';
import { selector } from '../system/selector.js';

export interface SlotWaiter {
  /** Called while a slot is free: takes it, waits on, or leaves the line. */
  attempt(): void;
}

export class SlotLine {
  readonly #slots: SlotPipe;
  /** Whether a job of this process may hold a slot. */
  readonly #hasJobs: () => boolean;
  readonly #waiters = new Queue<SlotWaiter>();

  constructor(slots: SlotPipe, hasJobs: () => boolean) {
    this.#slots = slots;
    this.#hasJobs = hasJobs;
  }

  /** A slot, unless none is free or others have waited longer. */
  tryTake(waiter: SlotWaiter): Token | undefined {
    const { first } = this.#waiters;
    if (first !== undefined && first !== waiter) return undefined;
    const token = this.#slots.tryTake();
    if (token !== undefined || !this.#hasJobs()) return token;
    // A job that has ended unnoticed may hold the slot: look at once.
    if (first === undefined) selector.turn(0);
    return this.#waiters.size === 0 ? this.#slots.tryTake() : undefined;
  }

  /** At the end, unless it is in line already. */
  add(waiter: SlotWaiter): void {
    if (this.#waiters.size === 0) {
      selector.add(this.#slots.ready, () => {
        this.#serve();
      });
    }
    this.#waiters.add(waiter);
  }

  delete(waiter: SlotWaiter): void {
    if (!this.#waiters.delete(waiter)) return;
    if (this.#waiters.size === 0) selector.remove(this.#slots.ready);
  }

  #serve(): void {
    for (let first; (first = this.#waiters.first) !== undefined;) {
      first.attempt();
      // The first has found no slot, so there is none for the others.
      if (this.#waiters.has(first)) return;
    }
  }
}
