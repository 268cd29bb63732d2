// Every call that waits takes a timeout. After a timeout, the same call may be
// made again: nothing is lost.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Blocked, Jobserver, isWorker } from 'jobserver';

export async function waitForFile(path) {
  while (!existsSync(path)) await sleep(5);
  return 'seen';
}

export function digits(n) {
  return String(n).length;
}

if (!isWorker) {
  const folder = mkdtempSync(join(tmpdir(), 'jobserver-'));
  const path = join(folder, 'go');
  const jobserver = new Jobserver({ slots: 1 });
  try {
    const future = await jobserver.submit(waitForFile, [path]);

    // The job ends when the file exists. Until then the only slot is taken. A
    // timeout of 0 checks once and does not wait. Others are in milliseconds.
    for (const timeout of [0, 50]) {
      await assert.rejects(jobserver.submit(digits, [1], { timeout }), Blocked);
      assert.equal(await future.wait({ timeout }), false);
      await assert.rejects(future.result({ timeout }), Blocked);
      assert.equal(future.done(), false);
    }
    // The blocking twins follow the same rules.
    assert.throws(
      () => jobserver.submitSync(digits, [1], { timeout: 50 }),
      (error) => error.code === 'ERR_JOBSERVER_BLOCKED',
    );
    assert.equal(future.waitSync({ timeout: 50 }), false);
    assert.throws(() => future.resultSync({ timeout: 0 }), Blocked);

    // With `consume: 0`, a job needs no slot.
    const beside = { timeout: 0, consume: 0 };
    const extra = await jobserver.submit(digits, [1234], beside);
    assert.equal(await extra.result(), 4);

    writeFileSync(path, '');
    assert.equal(await future.result({ timeout: 5000 }), 'seen');
    assert.equal(await future.wait({ timeout: 0 }), true);
    assert.equal(future.done(), true);
    const later = await jobserver.submit(digits, [123], { timeout: 5000 });
    assert.equal(await later.result(), 3);
  } finally {
    await jobserver.close();
    rmSync(folder, { recursive: true });
  }
  console.log('Calls that had timed out succeeded when they were made again.');
}
