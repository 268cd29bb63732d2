// The segments that this process sends to one other process. They are used again
// and again, because writing to memory that the kernel has just made takes ten
// times as long as writing to memory in use. Each other process has segments of
// its own: it can read, and change, whatever comes to stand in them.
import { Segment, orderFor } from './segment.js';

/** The most bytes that all pools of this process keep. */
const most = 256 << 20;

/** Of all segments that pools keep. */
let total = 0;

export class SegmentPool {
  /** By their orders. */
  readonly #free = new Map<number, Segment[]>();
  readonly #lent = new Set<Segment>();
  #isClosed = false;

  /**
   * A segment that has room up to `end`, a position in the file. Throws when the
   * kernel has none.
   */
  take(end: number): Segment {
    this.#takeBack();
    const order = orderFor(end);
    // A larger one takes as many pages as are written to.
    for (const each of [order, order + 1, order + 2]) {
      const segment = this.#free.get(each)?.pop();
      if (segment === undefined) continue;
      total -= segment.size;
      return segment;
    }
    return Segment.open(order);
  }

  #takeBack(): void {
    for (const segment of this.#lent) {
      if (segment.isReturned) this.#free.get(segment.order)!.push(segment);
      else if (segment.isTaken) this.#forget(segment);
      else continue;
      this.#lent.delete(segment);
    }
  }

  #forget(segment: Segment): void {
    total -= segment.size;
    segment.close();
  }

  /** Takes over a segment that was sent, or was not, and is not sent again. */
  put(segment: Segment): void {
    if (this.#isClosed || total + segment.size > most) {
      segment.close();
      return;
    }
    total += segment.size;
    const { order } = segment;
    if (!this.#free.has(order)) this.#free.set(order, []);
    this.#lent.add(segment);
  }

  /** The other process is gone. */
  close(): void {
    this.#isClosed = true;
    for (const segment of this.#lent) this.#forget(segment);
    for (const segment of [...this.#free.values()].flat())
      this.#forget(segment);
    this.#lent.clear();
    this.#free.clear();
  }
}

export function forgetPools(): void {
  total = 0;
}
