// The calls of an executor that want the same kind of slot. While there are any,
// the lane has one place in the line for slots, however long its queue is. When a
// slot comes, the call that is then first in the queue gets it. Where processes run
// several jobs, busy ones may begin the first calls in slots that they have.
import { AbortError } from '../errors.js';
import type { Future } from '../job/future.js';
import type { Pool } from '../job/pool.js';
import type { Plan } from '../job/plan.js';
import { type Consume, borrowingOf } from '../job/waiting-call.js';
import type { SleepGate, SlotRequest, Submission } from '../job/submission.js';
import type { Token } from '../slots/token.js';
import { never } from '../system/deadline.js';
import { Offers } from './offers.js';
import { PriorityQueue } from './priority-queue.js';
import type { CallQueue, QueuedCall } from './queued-call.js';

/** What the calls of a lane want. */
export interface LaneOptions {
  /** As in `submit`. */
  readonly consume: Consume;
  readonly isLifo: boolean;
  readonly gate: SleepGate;
  /** Whether busy processes may have calls that have no slot. */
  readonly sendsAhead: boolean;
  /** How many slots to assume where the pool does not know. */
  readonly slots: number;
}

/** The executor. */
export interface LaneOwner {
  /** A process begins the call, or is about to. */
  onBegin(call: QueuedCall): Plan;
  /** Follows `onBegin`. */
  onFuture(call: QueuedCall, future: Future<unknown>): void;
  /** The job of a call that has begun could not be started. */
  onUnstarted(call: QueuedCall): void;
  /** A call has left the queue. */
  onLeft(): void;
  /** Adds to the number of jobs whose futures have come, and of places in line. */
  count(change: 1 | -1): void;
}

export class Lane implements CallQueue {
  readonly consume: Consume;
  readonly #pool: Pool;
  readonly #owner: LaneOwner;
  readonly #queue: PriorityQueue<QueuedCall>;
  /** Undefined where no process is sent a call ahead. */
  readonly #offers: Offers | undefined;
  readonly #slotRequest: SlotRequest;
  /** The place in the line for slots, while calls are pending. */
  #place: Submission | undefined;
  /** It is about to dispatch. */
  #isScheduled = false;
  #isDispatching = false;

  constructor(options: LaneOptions, pool: Pool, owner: LaneOwner) {
    const { consume, isLifo, gate, sendsAhead, slots } = options;
    this.consume = consume;
    this.#pool = pool;
    this.#owner = owner;
    this.#queue = new PriorityQueue(isLifo);
    if (sendsAhead && consume !== 0) this.#offers = this.#makeOffers(slots);
    this.#slotRequest = {
      consume: consume === 0 ? 0 : 1,
      borrowing: borrowingOf(consume),
      gate,
      deadline: never,
      functions: () => this.#queue.first?.plan?.functions ?? [],
      signal: undefined,
      onSlot: (token) => {
        this.#leavePlace(() => {
          this.#startFirst(token);
        });
      },
      onError: (error) => {
        this.#leavePlace(() => {
          this.#refuse(this.#shift(), error);
        });
      },
    };
  }

  /** The number of calls in the queue. */
  get size(): number {
    return this.#queue.size;
  }

  /** Puts a call into the queue; `wake` starts it. */
  add(call: QueuedCall): void {
    this.#offers?.withdrawBehind(call);
    this.#queue.add(call);
  }

  /** Lets the calls start that have been added. */
  wake(): void {
    if (this.#place === undefined || this.#offers?.hasRoom) {
      this.#dispatchSoon();
    }
  }

  /** Starts at once what there are slots for. */
  dispatchNow(): void {
    if (!this.#isDispatching) this.#dispatch();
  }

  /** Cancels the calls in the queue. */
  cancelAll(): void {
    for (let call; (call = this.#queue.first);) call.promise.cancel();
  }

  remove(call: QueuedCall): boolean {
    if (this.#offers?.withdraw(call) === false) return false;
    this.#leave(call);
    if (this.#queue.size === 0) this.#place?.fail(nothingPending());
    else if (this.#offers !== undefined) this.#dispatchSoon();
    return true;
  }

  #leave(call: QueuedCall): void {
    this.#queue.delete(call);
    this.#owner.onLeft();
  }

  // In a microtask, because starting a process takes longer than a submit
  // should, and because many calls may come or begin together.
  #dispatchSoon(): void {
    if (this.#isScheduled || this.#isDispatching) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#dispatch();
    });
  }

  /**
   * Starts calls until the queue is empty or there is no slot, and offers the
   * first that are left.
   */
  #dispatch(): void {
    this.#isDispatching = true;
    // First, so that a process which is free now gets several calls at once.
    if (this.#queue.size > 1) this.#offers?.fill();
    while (this.#place === undefined && this.#queue.size > 0) {
      this.#takePlace();
    }
    this.#isDispatching = false;
    if (this.#queue.size > 0) this.#offers?.fill();
    else this.#place?.fail(nothingPending());
  }

  #makeOffers(slots: number): Offers {
    return new Offers(this.#queue, this.#pool, slots, {
      onBegin: (call) => {
        // Before it leaves, so that the executor is not idle in between.
        this.#owner.onBegin(call);
        this.#leave(call);
        this.#dispatchSoon();
      },
      onFuture: (call, future) => {
        this.#owner.count(1);
        this.#owner.onFuture(call, future);
      },
    });
  }

  #takePlace(): void {
    this.#owner.count(1);
    try {
      this.#pool.checkOpen();
    } catch (error) {
      this.#slotRequest.onError(error);
      return;
    }
    const place = this.#pool.request(this.#slotRequest);
    if (place.isSettled) return;
    this.#place = place;
    // The gate, or a callback, may have cancelled the last pending call.
    if (this.#queue.size === 0) place.fail(nothingPending());
  }

  #leavePlace(useSlot: () => void): void {
    this.#place = undefined;
    useSlot();
    if (!this.#isScheduled && !this.#isDispatching) this.#dispatch();
  }

  #startFirst(token: Token): void {
    const call = this.#shift();
    if (call === undefined) {
      token.give();
      this.#refuse(undefined, nothingPending());
      return;
    }
    let future;
    try {
      future = this.#pool.start(this.#owner.onBegin(call), token);
    } catch (error) {
      this.#owner.onUnstarted(call);
      this.#refuse(call, error);
      return;
    }
    this.#owner.onFuture(call, future);
  }

  /** Removes and returns the first call that no process has begun. */
  #shift(): QueuedCall | undefined {
    for (let first; (first = this.#queue.first) !== undefined;) {
      // Otherwise it has left the queue.
      if (this.#offers?.withdraw(first) === false) continue;
      this.#leave(first);
      return first;
    }
    return undefined;
  }

  /** Fails a call because of the gate, its start or a closed Jobserver. */
  #refuse(call: QueuedCall | undefined, error: unknown): void {
    call?.refuse(error);
    this.#owner.count(-1);
  }
}

function nothingPending(): Error {
  return new AbortError('No call is pending');
}
