// Ways to close a Jobserver: close waits for running jobs, closeSync does not.
// Derived handles share the state of the handle that they were derived from.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Jobserver, isWorker } from 'jobserver';

const closed = { code: 'ERR_JOBSERVER_CLOSED' };

export function double(n) {
  return 2 * n;
}

export async function waitForFile(path) {
  while (!existsSync(path)) await sleep(5);
  return 'seen';
}

async function closeWaits(path) {
  const jobserver = new Jobserver({ slots: 2 });
  const future = await jobserver.submit(waitForFile, [path]);
  const closing = jobserver.close();
  await assert.rejects(jobserver.submit(double, [1]), closed);
  assert.equal(future.done(), false);
  writeFileSync(path, '');
  await closing;
  assert.equal(future.done(), true);
  assert.equal(jobserver.running, 0);
  await jobserver.close(); // Closing again is harmless.
}

async function closeSyncLeavesJobsRunning(path) {
  const jobserver = new Jobserver({ slots: 2 });
  const future = await jobserver.submit(waitForFile, [path]);
  jobserver.closeSync();
  assert.throws(() => jobserver.submitSync(double, [1]), closed);
  assert.equal(future.done(), false);
  writeFileSync(path, '');
  assert.equal(await future.result(), 'seen');
}

async function derivedHandlesShareOneState() {
  const jobserver = new Jobserver({ slots: 2 });
  const derived = jobserver.reviseEnv({ LANG: 'C' });
  assert.equal(await derived.run(double, 21), 42);
  await jobserver.close();
  await assert.rejects(derived.submit(double, [1]), closed);
}

async function reclaimingNeedsNoEventLoop() {
  const jobserver = new Jobserver({ slots: 2 });
  const futures = [1, 2].map((n) => jobserver.submitSync(double, [n]));
  assert.equal(jobserver.running, 2);
  // The event loop handles finished jobs by itself. Code that blocks the event
  // loop for a long time can call reclaimResources instead.
  const pause = new Int32Array(new SharedArrayBuffer(4));
  while (jobserver.running > 0) {
    Atomics.wait(pause, 0, 0, 5);
    jobserver.reclaimResources();
  }
  assert.deepEqual(
    futures.map((future) => future.resultSync({ timeout: 0 })),
    [2, 4],
  );
  await jobserver.close();
}

if (!isWorker) {
  const folder = mkdtempSync(join(tmpdir(), 'jobserver-'));
  try {
    await closeWaits(join(folder, 'first'));
    await closeSyncLeavesJobsRunning(join(folder, 'second'));
    await derivedHandlesShareOneState();
    await reclaimingNeedsNoEventLoop();
  } finally {
    rmSync(folder, { recursive: true });
  }
  console.log('close waited and closeSync did not. Neither lost a job.');
}
