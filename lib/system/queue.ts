// First in, first out, and out from anywhere: a set whose oldest entry is at
// hand. A Set alone would look past every deleted entry to find it.

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

  /** Puts it at the end, unless it is in already. */
  add(value: T): void {
    if (this.#links.has(value)) return;
    const link: Link<T> = { value, previous: this.#newest, next: undefined };
    if (this.#newest === undefined) this.#oldest = link;
    else this.#newest.next = link;
    this.#newest = link;
    this.#links.set(value, link);
  }

  /** False when it is not in. */
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

  /** Takes the oldest out. */
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
