// A linked list whose links belong to what is listed, so that adding and removing
// touch nothing else. A Map that is used as a queue for long retains what was
// removed: V8 replaces its table from time to time, and each table refers to the
// next one until a full collection.

/** The place of a value in one list at a time. */
export class Link<T> {
  readonly value: T;
  list: List<T> | undefined;
  previous: Link<T> | undefined;
  next: Link<T> | undefined;

  constructor(value: T) {
    this.value = value;
  }
}

export class List<T> {
  #first: Link<T> | undefined;
  #last: Link<T> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): T | undefined {
    return this.#first?.value;
  }

  get last(): T | undefined {
    return this.#last?.value;
  }

  /** Adds the link at the end, unless the list has it already. */
  add(link: Link<T>): void {
    this.#insert(link, this.#last, undefined);
  }

  /** Adds the link at the start, unless the list has it already. */
  addFirst(link: Link<T>): void {
    this.#insert(link, undefined, this.#first);
  }

  #insert(
    link: Link<T>,
    previous: Link<T> | undefined,
    next: Link<T> | undefined,
  ): void {
    if (link.list === this) return;
    link.previous = previous;
    link.next = next;
    link.list = this;
    if (previous === undefined) this.#first = link;
    else previous.next = link;
    if (next === undefined) this.#last = link;
    else next.previous = link;
    this.#size += 1;
  }

  /** False when the list does not have the link. */
  delete(link: Link<T>): boolean {
    if (link.list !== this) return false;
    const { previous, next } = link;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    // A link that the garbage collector has not found yet keeps no other alive.
    link.previous = undefined;
    link.next = undefined;
    link.list = undefined;
    this.#size -= 1;
    return true;
  }

  /** Removes and returns the first value. */
  shift(): T | undefined {
    const link = this.#first;
    if (link !== undefined) this.delete(link);
    return link?.value;
  }

  /** The values at this moment. */
  values(): T[] {
    const values: T[] = [];
    for (let link = this.#first; link !== undefined; link = link.next) {
      values.push(link.value);
    }
    return values;
  }

  clear(): void {
    while (this.#first !== undefined) this.delete(this.#first);
  }
}
