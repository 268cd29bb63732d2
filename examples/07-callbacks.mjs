// whenDone registers callbacks for the end of a job. They run in the order of
// their registration, whatever the outcome.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallbackRaised, Jobserver, isWorker } from 'jobserver';

export function reverse(text) {
  return [...text].reverse().join('');
}

export async function failWhenFileExists(path) {
  while (!existsSync(path)) await sleep(5);
  throw new Error('from the job');
}

if (!isWorker) {
  const folder = mkdtempSync(join(tmpdir(), 'jobserver-'));
  const jobserver = new Jobserver({ slots: 1 });
  const calls = [];
  try {
    const future = await jobserver.submit(reverse, ['drawer']);
    // A callback gets the arguments given to whenDone and no others.
    const record = (...args) => calls.push(args.join(' '));
    assert.equal(future.whenDone(record, 'first'), 0);
    assert.equal(future.whenDone(record, 'second', 'call'), 1);
    future.whenDone(() => {
      // The job is done and its slot is free, so a callback may submit more
      // work.
      record(future.resultSync());
      record(jobserver.submitSync(reverse, ['stop']).resultSync());
    });
    assert.equal(await future.result(), 'reward');
    assert.deepEqual(calls, ['first', 'second call', 'reward', 'pots']);

    // If the future is already done, the callback runs before whenDone returns.
    assert.equal(future.whenDone(record, 'late'), 3);
    assert.equal(calls.pop(), 'late');

    // When a callback throws, the later ones wait until a call on the future
    // has thrown a CallbackRaised. Then they run. The outcome stays the same.
    calls.length = 0;
    const go = join(folder, 'go');
    const failed = await jobserver.submit(failWhenFileExists, [go]);
    failed.whenDone(record, 'before');
    failed.whenDone(() => {
      throw new Error('from the callback');
    });
    failed.whenDone(record, 'after');
    writeFileSync(go, '');
    const raised = await failed.wait().catch((error) => error);
    assert.ok(raised instanceof CallbackRaised);
    assert.equal(raised.seqno, 1);
    assert.equal(raised.cause.message, 'from the callback');
    assert.equal(await failed.wait(), true);
    assert.deepEqual(calls, ['before', 'after']);
    await assert.rejects(failed.result(), { message: 'from the job' });
  } finally {
    await jobserver.close();
    rmSync(folder, { recursive: true });
  }
  console.log('Callbacks ran in order, even after one of them had thrown.');
}
