// A usage as native code counts it: the numbers of `Usage` in native/posix.h.
import type { ProcessUsage } from '../usage.js';
import { check, native } from '../system/binding.js';

export const usageInts = 9;
const peak = 4;

/** `ints` has the numbers from there on. */
export function unpackUsage(
  ints: Int32Array | readonly number[],
  from = 0,
): ProcessUsage {
  const at = (i: number): number => ints[from + i]!;
  return {
    user: at(0) * 1000 + at(1) / 1000,
    system: at(2) * 1000 + at(3) / 1000,
    peakMemory: at(peak) * 1024,
    minorFaults: at(5),
    majorFaults: at(6),
    voluntarySwitches: at(7),
    involuntarySwitches: at(8),
  };
}

/** In a message; undefined for what this library does not send. */
export function usageIn(bytes: Buffer | undefined): ProcessUsage | undefined {
  if (bytes?.length !== 4 * usageInts) return undefined;
  const ints = Array.from({ length: usageInts }, (_, i) =>
    bytes.readInt32LE(4 * i),
  );
  return unpackUsage(ints);
}

/** What this process has used between two calls of `next`. */
export class UsageMeter {
  #before = ownUsage();

  /** As `usageIn` reads it. */
  next(): Buffer {
    const used = ownUsage();
    const before = this.#before;
    this.#before = used;
    // The kernel knows only the peak of the process.
    const ints = used.map((n, i) => (i === peak ? n : n - before[i]!));
    return Buffer.from(ints.buffer);
  }
}

function ownUsage(): Int32Array {
  const ints = new Int32Array(usageInts);
  check(native.ownUsage(ints), 'measure the usage');
  return ints;
}
