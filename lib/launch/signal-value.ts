// The number that comes with a signal to a worker.

const mostInt32 = 2 ** 31 - 1;

/** Whole milliseconds, because the kernel passes on an int32. 0: none. */
export function signalValue(runTimeout: number): number {
  return Math.min(Math.ceil(runTimeout), mostInt32);
}
