// whenDone calls back when a job has finished, whatever the outcome, in the
// order of registration.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CallbackRaised, Jobserver, isWorker } from 'jobserver';

export function reverse(text) {
  return [...text].reverse().join('');
}

export async function failOnceToldTo(path) {
  while (!existsSync(path)) await sleep(5);
  throw new Error('from the job');
}

if (!isWorker) {
  const folder = mkdtempSync(join(tmpdir(), 'jobserver-'));
  const jobserver = new Jobserver({ slots: 1 });
  const calls = [];
  try {
    const future = await jobserver.submit(reverse, ['drawer']);
    // Callbacks get the arguments given here and nothing else.
    const record = (...args) => calls.push(args.join(' '));
    assert.equal(future.whenDone(record, 'first'), 0);
    assert.equal(future.whenDone(record, 'second', 'call'), 1);
    future.whenDone(() => {
      // The job is done and its slot is free: more work may start at once.
      record(future.resultSync());
      record(jobserver.submitSync(reverse, ['stop']).resultSync());
    });
    assert.equal(await future.result(), 'reward');
    assert.deepEqual(calls, ['first', 'second call', 'reward', 'pots']);

    // On a future that is done, the callback runs before whenDone returns.
    assert.equal(future.whenDone(record, 'late'), 3);
    assert.equal(calls.pop(), 'late');

    // A callback that throws holds up the later ones until a call on the future
    // has thrown its error; then they go on. The outcome is not touched.
    calls.length = 0;
    const go = join(folder, 'go');
    const failed = await jobserver.submit(failOnceToldTo, [go]);
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
  console.log('Callbacks ran in order, also after one of them had thrown.');
}
