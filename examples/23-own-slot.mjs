// With `consume: 'own'`, a job of a job runs in its slot at once, instead of taking
// another one. So a recursion of any depth goes on while all slots are taken, and never
// uses more.
import assert from 'node:assert/strict';
import { Jobserver, isWorker } from 'jobserver';

const SLOTS = 2;

// The left half runs in another slot if one is free, the right half in its own.
export async function sum(numbers) {
  if (numbers.length === 1) return numbers[0];
  const jobserver = new Jobserver();
  const middle = Math.floor(numbers.length / 2);
  const [left, right] = [numbers.slice(0, middle), numbers.slice(middle)];
  const own = await jobserver.submit(sum, [right], { consume: 'own' });
  const other = await jobserver.submit(sum, [left]);
  return (await other.result()) + (await own.result());
}

export async function deepest(levels) {
  if (levels === 1) return process.pid;
  const options = { consume: 'own', timeout: 10_000 };
  const args = [levels - 1];
  const future = await new Jobserver().submit(deepest, args, options);
  return future.result();
}

if (!isWorker) {
  const jobserver = new Jobserver({ slots: SLOTS });
  try {
    const numbers = Array.from({ length: 8 }, (_, n) => n);
    assert.equal(await jobserver.run(sum, numbers), 28);

    // More levels than slots, in all slots at a time.
    const calls = Array.from({ length: SLOTS }, () =>
      jobserver.run(deepest, 5),
    );
    const pids = await Promise.all(calls);
    assert.equal(new Set(pids).size, SLOTS);
  } finally {
    await jobserver.close();
  }
  console.log(`Each of ${SLOTS} slots had five jobs, one inside of another.`);
}
