// Jobs may submit jobs. All of them share the slots of one pool, however deep.
import assert from 'node:assert/strict';
import { Blocked, Jobserver, isWorker } from 'jobserver';

const SLOTS = 3;

// Shares its work when a slot is free and does it here when none is: such a
// recursion goes as deep as it likes and never waits for itself.
export async function countPrimes(low, high) {
  if (high - low < 5000) return countPrimesHere(low, high);
  const middle = Math.floor((low + high) / 2);
  const jobserver = new Jobserver(); // Joins the pool that runs this job.
  let left;
  try {
    left = await jobserver.submit(countPrimes, [low, middle], { timeout: 0 });
  } catch (error) {
    if (!(error instanceof Blocked)) throw error;
  }
  const right = await countPrimes(middle, high);
  return right + (await (left?.result() ?? countPrimes(low, middle)));
}

function countPrimesHere(low, high) {
  let count = 0;
  for (let n = Math.max(low, 2); n < high; n += 1) {
    let divisor = 2;
    while (divisor * divisor <= n && n % divisor !== 0) divisor += 1;
    if (divisor * divisor > n) count += 1;
  }
  return count;
}

// A handle that is passed along arrives as a handle on the same slots. Here
// each level keeps its slot while it waits for the next one.
export async function descend(levels, jobserver) {
  if (levels === 1) return [process.pid];
  const args = [levels - 1, jobserver];
  const future = await jobserver.submit(descend, args, { timeout: 0 });
  return [process.pid, ...(await future.result())];
}

export function slotsOfMyPool() {
  return new Jobserver().slots;
}

if (!isWorker) {
  const jobserver = new Jobserver({ slots: SLOTS });
  try {
    assert.equal(await jobserver.run(slotsOfMyPool), SLOTS);
    assert.equal(await jobserver.run(countPrimes, 0, 50_000), 5133);

    const pids = await jobserver.run(descend, SLOTS, jobserver);
    assert.equal(new Set(pids).size, SLOTS);

    // One level more than there are slots. Waiting without a limit would be a
    // deadlock; with `timeout` the innermost level gets Blocked, and that
    // error travels through all levels to here.
    await assert.rejects(jobserver.run(descend, SLOTS + 1, jobserver), Blocked);

    // Every slot has come back.
    const again = await jobserver.run(descend, SLOTS, jobserver);
    assert.equal(again.length, SLOTS);
  } finally {
    await jobserver.close();
  }
  console.log(`Jobs within jobs shared ${SLOTS} slots; too deep was Blocked.`);
}
