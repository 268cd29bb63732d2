// First in, first out, with removal from any place, all in constant time. A Set
// would skip every deleted entry to find its oldest one.

interface Link<T> {
  readonly value: T;
  previous: Link<T> | undefined;
  next: Link<T> | undefined;
}

export class Queue<T> {
  readonly #links = new Map<T, Link<T>>();
  #oldest: Link<T> | undefined;
  #newest: Link<T> | undefined;

  get size(): number {
    return this.#links.size;
  }

  get first(): T | undefined {
    return this.#oldest?.value;
  }

  has(value: T): boolean {
    return this.#links.has(value);
  }

  /** Adds the value at the end, unless the queue has it already. */
  add(value: T): void {
    if (this.#links.has(value)) return;
    const link: Link<T> = { value, previous: this.#newest, next: undefined };
    if (this.#newest === undefined) this.#oldest = link;
    else this.#newest.next = link;
    this.#newest = link;
    this.#links.set(value, link);
  }

  /** Adds the value at the start, unless the queue has it already. */
  addFirst(value: T): void {
    if (this.#links.has(value)) return;
    const link: Link<T> = { value, previous: undefined, next: this.#oldest };
    if (this.#oldest === undefined) this.#newest = link;
    else this.#oldest.previous = link;
    this.#oldest = link;
    this.#links.set(value, link);
  }

  /** False when the queue does not have the value. */
  delete(value: T): boolean {
    const link = this.#links.get(value);
    if (link === undefined) return false;
    this.#links.delete(value);
    const { previous, next } = link;
    if (previous === undefined) this.#oldest = next;
    else previous.next = next;
    if (next === undefined) this.#newest = previous;
    else next.previous = previous;
    return true;
  }

  /** Removes and returns the oldest value. */
  shift(): T | undefined {
    const { first } = this;
    if (first !== undefined) this.delete(first);
    return first;
  }

  clear(): void {
    this.#links.clear();
    this.#oldest = undefined;
    this.#newest = undefined;
  }
}
