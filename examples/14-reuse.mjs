// With `jobsPerProcess`, a process runs several jobs, one after another. A job then
// costs a fraction of a process, and finds modules loaded and code compiled.
import assert from 'node:assert/strict';
import { Jobserver, LostResult, isWorker } from 'jobserver';

const SLOTS = 2;
const squares = new Map();

// The cache lives as long as the process, and serves all jobs that it runs.
export function square(n) {
  const isKnown = squares.has(n);
  if (!isKnown) squares.set(n, n * n);
  return { pid: process.pid, isKnown, value: squares.get(n) };
}

export function changeSurroundings() {
  process.env.LEVEL = '2';
  process.chdir('/');
}

export function surroundings() {
  return [process.env.LEVEL, process.cwd()];
}

export function exit(code) {
  process.exit(code);
}

if (!isWorker) {
  const jobserver = new Jobserver({ slots: SLOTS, jobsPerProcess: Infinity });
  try {
    // No more processes than slots run the forty jobs.
    const numbers = Array.from({ length: 40 }, (_, i) => i % 4);
    const results = [];
    for await (const result of jobserver.map(square, numbers)) {
      results.push(result);
    }
    const pids = new Set(results.map(({ pid }) => pid));
    assert.ok(pids.size <= SLOTS);
    assert.deepEqual(
      results.map(({ value }) => value),
      numbers.map((n) => n * n),
    );

    // Each process has computed each square at most once.
    const computed = results.filter(({ isKnown }) => !isKnown).length;
    assert.ok(computed <= 4 * SLOTS);

    // A job finds the environment and the working directory of its submitter,
    // whatever an earlier job of its process has changed.
    for (let i = 0; i < 4; i++) await jobserver.run(changeSurroundings);
    const found = await jobserver.run(surroundings);
    assert.deepEqual(found, [process.env.LEVEL, process.cwd()]);

    // This job must not find what other jobs have left, so it has a process of its
    // own. It takes its slot from the same pool.
    const fresh = jobserver.with({ jobsPerProcess: 1 });
    const alone = await fresh.run(square, 3);
    assert.equal(alone.isKnown, false);
    assert.ok(!pids.has(alone.pid));

    // When a process dies, only the job that it runs is lost. Jobs that wait run in
    // another process.
    const lost = jobserver.run(exit, 3);
    const waiting = Promise.all(numbers.map((n) => jobserver.run(square, n)));
    await assert.rejects(lost, (error) => {
      assert.ok(error instanceof LostResult);
      assert.equal(error.exitCode, 3);
      return true;
    });
    assert.equal((await waiting).length, numbers.length);
  } finally {
    await jobserver.close();
  }
  console.log('Two processes ran dozens of jobs. One that died lost one job.');
}
