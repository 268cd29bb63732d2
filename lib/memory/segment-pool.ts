// The segments that this process sends to one other process. They are used again
// and again, because writing to memory that the kernel has just made takes ten
// times as long as writing to memory in use. Each other process has segments of
// its own: it can read, and change, whatever comes to stand in them.
import { native } from '../system/binding.js';
import { Segment, orderFor } from './segment.js';

/** Of all segments that pools of this thread keep. */
export let pooledBytes = 0;
export let pooledCount = 0;

// The receiver may keep hundreds of segments. Each look is a system call.
const mostLooks = 16;

export class SegmentPool {
  /** By their orders. */
  readonly #free = new Map<number, Segment[]>();
  /** The one that was looked at, or lent, last is at the end. */
  readonly #lent: Segment[] = [];
  #isClosed = false;

  /**
   * A segment that has room up to `end`, a position in the file. Throws when the
   * kernel has none.
   */
  take(end: number): Segment {
    const order = orderFor(end);
    let segment = this.#takeFree(order);
    if (segment === undefined) {
      this.#takeBack();
      segment = this.#takeFree(order);
    }
    if (segment === undefined) return Segment.open(order);
    uncount(segment);
    return segment;
  }

  #takeFree(order: number): Segment | undefined {
    // A larger one takes as many pages as are written to.
    return (
      this.#free.get(order)?.pop() ??
      this.#free.get(order + 1)?.pop() ??
      this.#free.get(order + 2)?.pop()
    );
  }

  #takeBack(): void {
    for (const segment of this.#lent.splice(0, mostLooks)) {
      if (segment.isReturned) this.#free.get(segment.order)!.push(segment);
      else if (segment.isTaken) this.#forget(segment);
      else this.#lent.push(segment);
    }
  }

  #forget(segment: Segment): void {
    uncount(segment);
    segment.close();
  }

  /** Takes over a segment that was sent, or was not, and is not sent again. */
  put(segment: Segment): void {
    const bytes = pooledBytes + segment.size;
    if (this.#isClosed || bytes > native.segmentLimit()) {
      segment.close();
      return;
    }
    pooledBytes = bytes;
    pooledCount += 1;
    const { order } = segment;
    if (!this.#free.has(order)) this.#free.set(order, []);
    this.#lent.push(segment);
  }

  /** The other process is gone. */
  close(): void {
    this.#isClosed = true;
    for (const segment of this.#lent.splice(0)) this.#forget(segment);
    for (const segments of this.#free.values()) {
      for (const segment of segments) this.#forget(segment);
    }
    this.#free.clear();
  }
}

function uncount({ size }: Segment): void {
  pooledBytes -= size;
  pooledCount -= 1;
}

export function forgetPools(): void {
  pooledBytes = 0;
  pooledCount = 0;
}
