import { setTimeout as sleep } from 'node:timers/promises';

/** Multiplies the limits of waits. Only something that hangs reaches a limit. */
export const timeoutFactor =
  2 * Number(process.env['TEST_TIMEOUT_FACTOR'] ?? 1);

/** Polls until `isSo` is true. The error of a timeout names `what`. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  limitMs = 10_000,
): Promise<void> {
  const end = Date.now() + limitMs * timeoutFactor;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`Timed out waiting for ${what}`);
    await sleep(5);
  }
}
