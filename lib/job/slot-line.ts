// The calls of this process that wait for a slot of one pipe, oldest first. The
// pipe is in the selector only while there are any, or while it has surplus bytes. In a
// job that holds a slot of the pipe, a call whose patience is over may use that slot.
import { type JobSlot, workerState } from '../protocol/worker-state.js';
import type { SlotPipe } from '../slots/slot-pipe.js';
import type { Token } from '../slots/token.js';
import { type Link, List } from '../system/list.js';
import { selector } from '../system/selector.js';
import { isJobOf, jobSlotOf } from './job-slot.js';
import { warnOfStandstill } from './standstill.js';

export interface SlotWaiter {
  /** Whether it may run in the slot of the job that makes it. */
  readonly mayBorrow: boolean;
  /** Whether it prefers that slot to a free one. */
  readonly borrowsFirst: boolean;
  readonly place: Link<SlotWaiter>;
  /** Called while a slot is free: takes it, stays, or leaves the line. */
  attempt(): void;
}

export class SlotLine {
  readonly #slots: SlotPipe;
  /** Whether a job of this process may hold a slot. */
  readonly #hasJobs: () => boolean;
  readonly #waiters = new List<SlotWaiter>();
  #isWatching = false;
  #isClosed = false;
  readonly #onReady = (): void => this.#serve();
  /** Undefined unless this process is a job in a slot of the pipe. */
  readonly jobSlot: JobSlot | undefined;
  /** Whether this process is a job of the pool. */
  readonly isInJob: boolean;

  constructor(slots: SlotPipe, hasJobs: () => boolean) {
    this.#slots = slots;
    this.#hasJobs = hasJobs;
    this.jobSlot = jobSlotOf(slots);
    this.isInJob = isJobOf(slots);
  }

  /** A slot, unless none is free or others have waited longer. */
  tryTake(waiter: SlotWaiter): Token | undefined {
    const { jobSlot } = this;
    if (waiter.borrowsFirst && jobSlot !== undefined) {
      const { first = waiter } = jobSlot.borrowers;
      const own = first === waiter ? jobSlot.tryLend() : undefined;
      if (own !== undefined) return own;
    }
    const token = this.#tryTakeFree(waiter);
    if (token !== undefined || !waiter.mayBorrow) return token;
    return jobSlot?.tryLend();
  }

  #tryTakeFree(waiter: SlotWaiter): Token | undefined {
    const { first } = this.#waiters;
    if (first !== undefined && first !== waiter) return undefined;
    const token = this.#slots.tryTake();
    const mayComeBack = this.#hasJobs() || this.#slots.isTrusted;
    if (token !== undefined || !mayComeBack) return token;
    // A job that ended but is not yet handled may hold the slot.
    if (first === undefined) selector.turn(0);
    return this.#waiters.size === 0 ? this.#slots.tryTake() : undefined;
  }

  /** Adds it at the end, unless it is in line. */
  add(waiter: SlotWaiter): void {
    this.#watch();
    this.#waiters.add(waiter.place);
    if (waiter.mayBorrow) this.jobSlot?.borrowers.add(waiter);
  }

  delete(waiter: SlotWaiter): void {
    if (!this.#waiters.delete(waiter.place)) return;
    this.jobSlot?.borrowers.delete(waiter);
    this.#unwatchWhenIdle();
  }

  /** Changes the number of slots of the pipe. */
  resize(count: number): void {
    this.#slots.resize(count);
    if (this.#slots.surplus === 0) return;
    try {
      this.#watch();
    } catch {
      // Surplus bytes are taken when a job of this process ends.
    }
  }

  /** Called when no call can come any more. */
  close(): void {
    this.#isClosed = true;
    this.#unwatchWhenIdle();
  }

  #watch(): void {
    if (this.#isWatching) return;
    this.#slots.watch(this.#onReady);
    this.#isWatching = true;
  }

  #unwatchWhenIdle(): void {
    const isIdle = this.#waiters.size === 0;
    if (!isIdle || (this.#slots.surplus > 0 && !this.#isClosed)) return;
    if (this.#isWatching) this.#slots.unwatch();
    this.#isWatching = false;
  }

  /** Called in a job by a call that cannot use its slot, and waits long. */
  onLongWait(): void {
    if (this.jobSlot?.isLent === true) return;
    // While a job runs that this one has started, its slot may become free.
    for (const { running } of workerState.busy) if (running > 0) return;
    warnOfStandstill(this.jobSlot !== undefined);
  }

  #serve(): void {
    this.#slots.takeSurplus();
    this.#unwatchWhenIdle();
    for (let first; (first = this.#waiters.first) !== undefined;) {
      first.attempt();
      // The first has found no slot, so there is none for the others.
      if (this.#waiters.first === first) return;
    }
  }
}
