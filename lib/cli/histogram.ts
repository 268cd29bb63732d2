// A histogram as Prometheus has it: how many values were at most as large as each of
// some bounds, and the sum of all.

/** From half a millisecond to an hour. */
const bounds = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
  10, 30, 60, 300, 900, 3600,
];

export class Histogram {
  readonly #counts = bounds.map(() => 0);
  #count = 0;
  #sum = 0;

  record(seconds: number): void {
    this.#count += 1;
    this.#sum += seconds;
    for (let i = bounds.length - 1; i >= 0 && seconds <= bounds[i]!; i--) {
      this.#counts[i]! += 1;
    }
  }

  /** The lines of a metric of this name. */
  lines(name: string): string[] {
    return [
      ...bounds.map(
        (le, i) => `${name}_bucket{le="${le}"} ${this.#counts[i]!}`,
      ),
      `${name}_bucket{le="+Inf"} ${this.#count}`,
      `${name}_sum ${this.#sum}`,
      `${name}_count ${this.#count}`,
    ];
  }
}
