// The number that comes with a signal to a worker.
import { mostInt32 } from '../protocol/fds.js';

/** Whole milliseconds, because the kernel passes on an int32. 0: none. */
export function signalValue(runTimeout: number): number {
  return Math.min(Math.ceil(runTimeout), mostInt32);
}
