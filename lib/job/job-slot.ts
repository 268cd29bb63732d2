// The slot of the job that this process runs. While the job waits, one job that
// it submits may run in the slot. The token stays where it is: the submitter of
// this job gives it back once every process that runs in the slot has closed the
// result socket of this job. So a kill at any moment frees the slot neither early
// nor twice.
import { setImmediate } from 'node:timers';
import {
  type Ambient,
  type Borrower,
  type JobSlot,
  workerState,
} from '../protocol/worker-state.js';
import type { SlotPipe } from '../slots/slot-pipe.js';
import { Token, noSlot } from '../slots/token.js';
import { native } from '../system/binding.js';
import { Queue } from '../system/queue.js';

/** Whether this process is a job of the pool, in a slot of the pipe or without. */
export function isJobOf(slots: SlotPipe): boolean {
  return workerState.ambient?.identity === slots.identity;
}

/** Undefined unless this process is a job in a slot of the pipe. */
export function jobSlotOf(slots: SlotPipe): JobSlot | undefined {
  const { ambient } = workerState;
  if (ambient?.identity !== slots.identity) return undefined;
  if (ambient.token === noSlot) return undefined;
  return (ambient.jobSlot ??= new LendableSlot(ambient));
}

// A borrower holds one descriptor for each lender that it knows. Of more than
// this, it knows the first, which decides about the token, and the nearest.
const mostLenders = 32;

class LendableSlot implements JobSlot {
  readonly #ambient: Ambient;
  readonly #lenders: readonly number[];
  readonly borrowers = new Queue<Borrower>();
  #isLent = false;

  constructor(ambient: Ambient) {
    this.#ambient = ambient;
    const [first, ...others] = ambient.resultSockets;
    this.#lenders = [first!, ...others.slice(1 - mostLenders)];
  }

  get isLent(): boolean {
    return this.#isLent;
  }

  tryLend(): Token | undefined {
    if (this.#isLent || !this.#ambient.announceLoan()) return undefined;
    this.#setLent(true);
    const takeBack = (): void => {
      this.#takeBack();
    };
    return new Token(this.#ambient.token, takeBack, this.#lenders);
  }

  #takeBack(): void {
    this.#setLent(false);
    if (this.borrowers.size === 0) return;
    // Not at once: first the job may use the result of the borrower.
    setImmediate(() => {
      this.#serve();
    });
  }

  #serve(): void {
    for (let first; (first = this.borrowers.first) !== undefined;) {
      if (this.#isLent) return;
      first.attempt();
      if (this.borrowers.has(first)) return;
    }
  }

  #setLent(isLent: boolean): void {
    this.#isLent = isLent;
    native.setLent(isLent);
  }
}
