// The calls at the head of the queue of an executor, offered to processes that
// run several jobs, so that none of them waits for its next call. A call stays in
// the queue until a process begins it. The first calls of the queue are offered,
// without a gap, so that calls begin in its order.
import { checkExported, mayBeRefused } from '../functions/function-ref.js';
import type { Future } from '../job/future.js';
import type { Pool } from '../job/pool.js';
import type { Plan } from '../job/plan.js';
import { List } from '../system/list.js';
import type { PriorityQueue } from './priority-queue.js';
import type { QueuedCall } from './queued-call.js';

// Enough for each process to have the next one, and for two processes to have as
// many as they take. A call of higher priority has to withdraw the others.
const most = 64;
const mostOfSlot = 2;

/** What the executor does when a process has begun a call. */
export interface OfferEvents {
  /** It is to leave the queue. */
  readonly onBegin: (call: QueuedCall) => void;
  /** Follows `onBegin`, mostly at once. */
  readonly onFuture: (call: QueuedCall, future: Future<unknown>) => void;
}

export class Offers {
  readonly #queue: PriorityQueue<QueuedCall>;
  readonly #pool: Pool;
  readonly #events: OfferEvents;
  readonly #slots: number;
  /** In the order of the queue. */
  readonly #calls = new List<QueuedCall>();

  /** `slots`: how many to assume where the pool does not know. */
  constructor(
    queue: PriorityQueue<QueuedCall>,
    pool: Pool,
    slots: number,
    events: OfferEvents,
  ) {
    this.#queue = queue;
    this.#pool = pool;
    this.#slots = slots;
    this.#events = events;
  }

  get hasRoom(): boolean {
    const slots = this.#pool.slots.count ?? this.#slots;
    return this.#calls.size < Math.max(most, slots * mostOfSlot);
  }

  /** Offers the next calls of the queue. */
  fill(): void {
    while (this.hasRoom) {
      const { last } = this.#calls;
      const call =
        last === undefined ? this.#queue.first : this.#queue.after(last);
      if (call === undefined || !this.#offer(call, call.plan!)) return;
    }
  }

  /** False when a process has begun the call, which has left the queue then. */
  withdraw(call: QueuedCall): boolean {
    if (call.offer === undefined) return call.state === 'pending';
    if (call.offer.withdraw()) {
      this.#forget(call);
      return true;
    }
    this.#begin(call);
    return false;
  }

  /** Withdraws the calls that this call would precede. */
  withdrawBehind(added: QueuedCall): void {
    const { last } = this.#calls;
    if (last === undefined || !this.#queue.precedes(added, last)) return;
    // The last one first, because a process begins them in their order.
    for (const call of this.#calls.values().reverse()) {
      if (!this.#queue.precedes(added, call)) return;
      this.withdraw(call);
    }
  }

  /** False when the call has to wait for a slot. */
  #offer(call: QueuedCall, plan: Plan): boolean {
    if (!mayStart(plan)) return false;
    call.offer = this.#pool.offer(plan, (future) => {
      this.#begin(call);
      this.#events.onFuture(call, future);
    });
    if (call.offer === undefined) return false;
    this.#calls.add(call.place);
    return true;
  }

  #begin(call: QueuedCall): void {
    if (call.offer === undefined) return;
    this.#forget(call);
    this.#events.onBegin(call);
  }

  #forget(call: QueuedCall): void {
    call.offer = undefined;
    this.#calls.delete(call.place);
  }
}

/** Whether no function is known, or may soon be known, not to be exported. */
function mayStart({ functions }: Plan): boolean {
  if (functions.some(mayBeRefused)) return false;
  try {
    functions.forEach(checkExported);
    return true;
  } catch {
    return false;
  }
}
