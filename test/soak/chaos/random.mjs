// Random choices that a seed repeats.
import { createHash } from 'node:crypto';

export class Random {
  #seed;
  #count = 0;

  constructor(seed) {
    this.#seed = seed;
  }

  /** From 0 to below 1. */
  next() {
    const text = `${this.#seed} ${this.#count++}`;
    return createHash('md5').update(text).digest().readUInt32LE() / 2 ** 32;
  }

  /** An integer from 0 to below `end`. */
  below(end) {
    return Math.floor(this.next() * end);
  }

  chance(probability) {
    return this.next() < probability;
  }

  pick(list) {
    return list[this.below(list.length)];
  }
}
