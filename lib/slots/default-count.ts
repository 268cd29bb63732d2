// Checks the number of slots of a Jobserver, and finds its default.
import { availableParallelism } from 'node:os';
import { cpuQuota } from './cpu-quota.js';
import { invalidArgument, outOfRange } from '../errors.js';
import { maxSlots } from './slot-pipe.js';

const expected = `an integer from 1 to ${maxSlots}`;

export function checkSlots(slots: unknown): number {
  if (typeof slots !== 'number') {
    throw invalidArgument('slots', expected, slots);
  }
  if (!Number.isInteger(slots) || slots < 1 || slots > maxSlots) {
    throw outOfRange('slots', expected, slots);
  }
  return slots;
}

/**
 * JOBSERVER_SLOTS or, when that is not set, the number of CPUs that the CPU
 * affinity and the control groups allow this process, rounded down but at
 * least 1.
 */
export function defaultSlots(): number {
  const text = process.env['JOBSERVER_SLOTS'];
  if (text === undefined || text === '') {
    const cpus = Math.min(availableParallelism(), Math.floor(cpuQuota()));
    return Math.min(maxSlots, Math.max(1, cpus));
  }
  const slots = /^\d+$/.test(text) ? Number(text) : NaN;
  if (slots >= 1 && slots <= maxSlots) return slots;
  throw outOfRange('JOBSERVER_SLOTS', expected, text);
}
