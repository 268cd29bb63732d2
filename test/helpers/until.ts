import { setTimeout as sleep } from 'node:timers/promises';

/** Stretches every limit; only what hangs ever comes near it. */
export const timeoutFactor =
  2 * Number(process.env['TEST_TIMEOUT_FACTOR'] ?? 1);

/** Asks until the answer is true; fails with the name of what it waited for. */
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
