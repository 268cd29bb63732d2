// Queues by priority: the highest first, and within one priority the oldest, or the
// newest if so desired. The cost of an operation grows with the number of
// priorities in use.
import { Queue } from '../system/queue.js';

export class PriorityQueue<T extends { readonly priority: number }> {
  readonly #queues = new Map<number, Queue<T>>();
  /** The priorities of the queues that are not empty, the highest last. */
  readonly #priorities: number[] = [];
  readonly #isLifo: boolean;
  #size = 0;

  /** `isLifo`: within one priority, the newest comes first. */
  constructor(isLifo = false) {
    this.#isLifo = isLifo;
  }

  get size(): number {
    return this.#size;
  }

  add(value: T): void {
    const { priority } = value;
    let queue = this.#queues.get(priority);
    if (queue === undefined) {
      queue = new Queue();
      this.#queues.set(priority, queue);
      const index = this.#priorities.findLastIndex((p) => p < priority);
      this.#priorities.splice(index + 1, 0, priority);
    }
    if (this.#isLifo) queue.addFirst(value);
    else queue.add(value);
    this.#size += 1;
  }

  /** False when the value is not in the queue. */
  delete(value: T): boolean {
    const { priority } = value;
    const queue = this.#queues.get(priority);
    if (queue?.delete(value) !== true) return false;
    this.#size -= 1;
    if (queue.size === 0) {
      this.#queues.delete(priority);
      this.#priorities.splice(this.#priorities.lastIndexOf(priority), 1);
    }
    return true;
  }

  get first(): T | undefined {
    const highest = this.#priorities.at(-1);
    return highest === undefined ? undefined : this.#queues.get(highest)!.first;
  }

  /** Whether it would precede this value of the queue if it were added. */
  precedes({ priority }: { priority: number }, value: T): boolean {
    if (priority !== value.priority) return priority > value.priority;
    return this.#isLifo;
  }

  /** The one that follows this value of the queue. */
  after(value: T): T | undefined {
    const { priority } = value;
    const next = this.#queues.get(priority)?.after(value);
    if (next !== undefined) return next;
    const lower = this.#priorities.findLast((p) => p < priority);
    return lower === undefined ? undefined : this.#queues.get(lower)!.first;
  }

  /** Removes and returns the first value. */
  shift(): T | undefined {
    const { first } = this;
    if (first !== undefined) this.delete(first);
    return first;
  }
}
