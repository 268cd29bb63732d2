// How many slots a new Jobserver has.
import { availableParallelism } from 'node:os';
import { invalidArgument, outOfRange } from './errors.js';
import { maxSlots } from './slots.js';

const expected = `an integer from 1 to ${maxSlots}`;

export function checkSlots(slots: unknown): number {
  if (typeof slots !== 'number')
    throw invalidArgument('slots', expected, slots);
  if (!Number.isInteger(slots) || slots < 1 || slots > maxSlots) {
    throw outOfRange('slots', expected, slots);
  }
  return slots;
}

/** JOBSERVER_SLOTS, or else what this process may use of the machine. */
export function defaultSlots(): number {
  const text = process.env['JOBSERVER_SLOTS'];
  if (text === undefined || text === '') {
    return Math.min(maxSlots, Math.max(1, availableParallelism()));
  }
  const slots = /^\d+$/.test(text) ? Number(text) : NaN;
  if (slots >= 1 && slots <= maxSlots) return slots;
  throw outOfRange('JOBSERVER_SLOTS', expected, text);
}
