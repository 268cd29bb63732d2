// First in, first out, with removal from any place, all in constant time. A Set
// would skip every deleted entry to find its oldest one.
import { Link, List } from './list.js';

export class Queue<T> {
  readonly #links = new Map<T, Link<T>>();
  readonly #list = new List<T>();

  get size(): number {
    return this.#list.size;
  }

  get first(): T | undefined {
    return this.#list.first;
  }

  /** The value that was added after this one. */
  after(value: T): T | undefined {
    return this.#links.get(value)?.next?.value;
  }

  has(value: T): boolean {
    return this.#links.has(value);
  }

  /** Adds the value at the end, unless the queue has it already. */
  add(value: T): void {
    if (this.#links.has(value)) return;
    const link = new Link(value);
    this.#links.set(value, link);
    this.#list.add(link);
  }

  /** Adds the value at the start, unless the queue has it already. */
  addFirst(value: T): void {
    if (this.#links.has(value)) return;
    const link = new Link(value);
    this.#links.set(value, link);
    this.#list.addFirst(link);
  }

  /** False when the queue does not have the value. */
  delete(value: T): boolean {
    const link = this.#links.get(value);
    if (link === undefined) return false;
    this.#links.delete(value);
    return this.#list.delete(link);
  }

  /** Removes and returns the oldest value. */
  shift(): T | undefined {
    const value = this.#list.shift();
    if (value !== undefined) this.#links.delete(value);
    return value;
  }

  clear(): void {
    this.#links.clear();
    this.#list.clear();
  }
}
