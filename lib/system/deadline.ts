// Timeouts in milliseconds, as deadlines on the monotonic clock. Only this file
// reads that clock.
import {
  clearImmediate,
  clearTimeout,
  setImmediate,
  setTimeout,
} from 'node:timers';
import { invalidArgument, outOfRange } from '../errors.js';
import { builtin } from './builtins.js';

/** A time on the monotonic clock in milliseconds; Infinity is never. */
export type Deadline = number;

export const never: Deadline = Infinity;

let clock: typeof performance | undefined;

export function now(): number {
  clock ??= builtin('node:perf_hooks').performance;
  return clock.now();
}

/** Checks a timeout given by the user and starts it; undefined is `never`. */
export function deadlineAfter(timeout: unknown, name = 'timeout'): Deadline {
  if (timeout === undefined || timeout === null) return never;
  if (typeof timeout !== 'number') {
    throw invalidArgument(name, 'a number of milliseconds', timeout);
  }
  if (!Number.isFinite(timeout)) {
    throw outOfRange(name, 'finite (omit it to wait forever)', timeout);
  }
  if (timeout < 0) throw outOfRange(name, 'non-negative', timeout);
  return now() + timeout;
}

/** Milliseconds left, 0 once the deadline has passed. */
export function remaining(deadline: Deadline): number {
  return deadline === never ? never : Math.max(0, deadline - now());
}

/** Milliseconds left as `poll(2)` takes them: negative waits forever. */
export function pollTimeout(deadline: Deadline): number {
  return deadline === never ? -1 : remaining(deadline);
}

export interface Timer {
  cancel(): void;
}

const noTimer: Timer = { cancel: () => undefined };

/** The HTML standard makes longer timers fire at once, and so does Node. */
export const longestTimerMs = 2 ** 31 - 1;

/**
 * Calls back once the deadline has passed; `never` sets no timer. Node runs
 * timers before it polls for I/O, so the callback is put off until after the
 * next poll: an fd that was ready before the deadline is handled first.
 */
export function onDeadline(deadline: Deadline, callback: () => void): Timer {
  if (deadline === never) return noTimer;
  let timeout: NodeJS.Timeout | undefined;
  let immediate: NodeJS.Immediate | undefined;
  const arm = (): void => {
    const left = Math.ceil(remaining(deadline));
    timeout = setTimeout(fire, Math.min(left, longestTimerMs));
  };
  // A timer may fire a fraction of a millisecond early.
  const fire = (): void => {
    if (remaining(deadline) > 0) arm();
    else immediate = setImmediate(callback);
  };
  arm();
  return {
    cancel: () => {
      clearTimeout(timeout);
      clearImmediate(immediate);
    },
  };
}
