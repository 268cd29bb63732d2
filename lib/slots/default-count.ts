// How many slots a new Jobserver has.
import { availableParallelism } from 'node:os';
import { cpuQuota } from './cpu-quota.js';
import { invalidArgument, outOfRange } from '../errors.js';
import { maxSlots } from './slot-pipe.js';

const expected = `an integer from 1 to ${maxSlots}`;

export function checkSlots(slots: unknown): number {
  if (typeof slots !== 'number')
    throw invalidArgument('slots', expected, slots);
  if (!Number.isInteger(slots) || slots < 1 || slots > maxSlots) {
    throw outOfRange('slots', expected, slots);
  }
  return slots;
}

/**
 * JOBSERVER_SLOTS, or else how many CPUs this process may use, by affinity and
 * by the quotas of its control groups: whole ones, and at least one.
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
