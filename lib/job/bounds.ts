// Checks the controls that say when the library ends a job, and starts it again.
import { invalidArgument, outOfRange } from '../errors.js';
import { checkMs } from '../system/options.js';

export function checkRunTimeout(ms: unknown): number {
  const checked = checkMs(ms, 'runTimeout');
  if (checked === 0) throw outOfRange('runTimeout', 'positive', ms);
  return checked;
}

export function checkRetries(count: unknown): number {
  const expected = 'an integer, 0 or more, or Infinity';
  if (typeof count !== 'number') {
    throw invalidArgument('retries', expected, count);
  }
  if (!(count >= 0 && (Number.isSafeInteger(count) || count === Infinity))) {
    throw outOfRange('retries', expected, count);
  }
  return count;
}
