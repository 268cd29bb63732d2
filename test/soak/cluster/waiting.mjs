// Waits that end by a deadline, with a message that says how things stand.
import { setTimeout as sleep } from 'node:timers/promises';

/** What hangs fails after this time. */
export const patienceMs = 60_000 * Number(process.env.TEST_TIMEOUT_FACTOR ?? 1);

/** `state`: for the message. */
export async function until(what, isSo, state, ms = patienceMs) {
  const end = performance.now() + ms;
  while (!(await isSo())) {
    if (performance.now() > end) {
      throw new Error(`Waited for ${what}\n${await state()}`);
    }
    await sleep(20);
  }
}

export async function inTime(what, promise, state, ms = patienceMs) {
  let isSettled = false;
  const settled = promise.finally(() => (isSettled = true));
  await Promise.race([settled, until(what, () => isSettled, state, ms)]);
  return settled;
}
