// Jobs may submit jobs. All of them share the slots of one pool, at any depth.
import assert from 'node:assert/strict';
import { Blocked, Jobserver, isWorker } from 'jobserver';

const SLOTS = 3;

// Submits half of its work when a slot is free, and otherwise does it in this
// process. Such a recursion may have any depth and never waits for itself.
export async function countPrimes(low, high) {
  if (high - low < 5000) return countPrimesHere(low, high);
  const middle = Math.floor((low + high) / 2);
  const jobserver = new Jobserver(); // Joins the pool that this job runs in.
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

// A job that waits lends its slot, so that any depth is possible.
export async function depth(levels) {
  if (levels === 1) return 1;
  return 1 + (await new Jobserver().run(depth, levels - 1));
}

// A handle may be an argument: the job gets a handle on the same slots. With
// this timeout, each level keeps its slot while it waits for the next level.
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

    assert.equal(await jobserver.run(depth, 2 * SLOTS), 2 * SLOTS);

    const pids = await jobserver.run(descend, SLOTS, jobserver);
    assert.equal(new Set(pids).size, SLOTS);

    // One level more than there are slots. The innermost level gets Blocked,
    // and each level throws that error to the level above.
    await assert.rejects(jobserver.run(descend, SLOTS + 1, jobserver), Blocked);

    // Every slot is free again.
    const again = await jobserver.run(descend, SLOTS, jobserver);
    assert.equal(again.length, SLOTS);
  } finally {
    await jobserver.close();
  }
  console.log(`Nested jobs shared ${SLOTS} slots. One level more was Blocked.`);
}
