// How fast the chunks of a map run, and what follows from it: how many items the
// next chunk has, and how many chunks may wait for a slot. It knows no job and no
// clock.

/** A chunk whose job has sent its values. */
export interface ChunkRun {
  readonly items: number;
  /** What its calls took, in milliseconds. */
  readonly callsMs: number;
  /** From the start of its job to the end. */
  readonly totalMs: number;
}

export interface PaceOptions {
  readonly chunkSize: number | 'auto';
  readonly slots: number;
  /** Of the input, in items; undefined where it is not known. */
  readonly length: number | undefined;
  /** Whether chunks that wait for a slot may be sent to a process ahead. */
  readonly isReused: boolean;
}

// The calls of a chunk take this many times the overhead of its job, so that the
// overhead stays under 5 % of the time of a slot, also where it is underestimated.
const fullFactor = 30;

// At the end of the input they take at least this many times the overhead. Even
// shorter chunks cost more than they save.
const leastFactor = 4;

// A few items do not show how long many take.
const mostGrowth = 8;

// Work of the submitter for one chunk, which no job shows. Chunks in all slots
// wait for it.
const submitterMs = 0.1;
const submitterMsOfSlot = 0.01;

// An answer may be handled late, and the next one then seems to come early. So the
// overhead is a mean, of this many chunks or of two in each slot.
const leastSample = 8;

// Chunks that wait take about this long together. This is how long a process
// keeps its slot for chunks that were sent ahead.
const waitingMs = 10;
const mostWaitingOfSlot = 32;

// What is left of the weight of a chunk when another is measured.
const keep = 0.9;

export class Pace {
  readonly #options: PaceOptions;
  readonly #overhead: Overhead;
  /** Sums over the chunks, in which older ones weigh less. */
  #chunks = 0;
  #items = 0;
  #callsMs = 0;
  #measured = 0;
  #taken = 0;

  constructor(options: PaceOptions) {
    this.#options = options;
    const { slots } = options;
    const atLeastMs = Math.max(submitterMs, slots * submitterMsOfSlot);
    this.#overhead = new Overhead(Math.max(leastSample, 2 * slots), atLeastMs);
  }

  /** How many items the next chunk has. */
  get size(): number {
    const { chunkSize, slots } = this.#options;
    if (chunkSize !== 'auto') return chunkSize;
    if (this.#chunks === 0) return 1;
    const unit = (this.#overhead.ms * this.#items) / this.#callsMs;
    const share = this.#left / (2 * slots);
    const size = Math.min(
      fullFactor * unit,
      Math.max(leastFactor * unit, share),
      mostGrowth * this.#measured,
    );
    return Math.max(1, Math.floor(size));
  }

  /** How many chunks may wait for a slot. */
  get mostWaiting(): number {
    const { chunkSize, slots, isReused } = this.#options;
    if (!isReused || this.#chunks === 0) return 1;
    // Their sizes are better the later they are chosen.
    if (chunkSize === 'auto') return slots;
    const meanMs = this.#callsMs / this.#chunks;
    const many = Math.floor((slots * waitingMs) / meanMs);
    return Math.max(1, Math.min(many, slots * mostWaitingOfSlot));
  }

  /** A chunk of so many items was taken from the input. */
  take(items: number): void {
    this.#taken += items;
  }

  measure({ items, callsMs, totalMs }: ChunkRun): void {
    this.#measured += items;
    this.#chunks = this.#chunks * keep + 1;
    this.#items = this.#items * keep + items;
    this.#callsMs = this.#callsMs * keep + callsMs;
    this.#overhead.add(totalMs - callsMs);
  }

  /** How many items are to come; where it is not known, as many as came. */
  get #left(): number {
    const { length } = this.#options;
    return length === undefined ? this.#taken : length - this.#taken;
  }
}

/**
 * What a job takes besides its calls: the least mean of a sample. Larger chunks
 * have longer answers, which take time that even larger chunks would not save.
 */
class Overhead {
  readonly #sampleSize: number;
  readonly #atLeastMs: number;
  #samples = 0;
  #count = 0;
  #sum = 0;
  #leastMs = Infinity;

  constructor(sampleSize: number, atLeastMs: number) {
    this.#sampleSize = sampleSize;
    this.#atLeastMs = atLeastMs;
  }

  get ms(): number {
    return Math.max(this.#atLeastMs, this.#leastMs);
  }

  add(ms: number): void {
    this.#count += 1;
    this.#sum += ms;
    // The first jobs wait for a forkserver, or for processes that run several.
    if (this.#samples === 0) this.#leastMs = Math.min(this.#leastMs, ms);
    if (this.#count < this.#sampleSize) return;
    const mean = this.#sum / this.#count;
    if (this.#samples === 1) this.#leastMs = mean;
    else if (this.#samples > 1) this.#leastMs = Math.min(this.#leastMs, mean);
    this.#samples += 1;
    this.#count = 0;
    this.#sum = 0;
  }
}
