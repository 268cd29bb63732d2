import { pause } from '../fixtures/gate-jobs.js';
import { timeoutFactor } from '../helpers/until.js';

/**
 * `until` without the event loop, so that the library cannot read results in
 * the meantime.
 */
export function untilSync(
  what: string,
  isSo: () => boolean,
  limitMs = 10_000,
): void {
  const end = Date.now() + limitMs * timeoutFactor;
  while (!isSo()) {
    if (Date.now() > end) throw new Error(`Timed out waiting for ${what}`);
    pause(1);
  }
}
