// JobserverExecutor is a queue in front of a Jobserver. submit never waits and
// returns a promise, which can be cancelled until the job has started.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Jobserver, JobserverExecutor, isWorker } from 'jobserver';

export async function waitForFile(path) {
  while (!existsSync(path)) await sleep(5);
  return 'seen';
}

export function greeting(name) {
  return `${process.env.GREETING}, ${name}`;
}

if (!isWorker) {
  const folder = mkdtempSync(join(tmpdir(), 'jobserver-'));
  const path = join(folder, 'go');
  const jobserver = new Jobserver({ slots: 1 });
  try {
    // The changes of a derived handle apply to the jobs of an executor too.
    const executor = new JobserverExecutor(
      jobserver.reviseEnv({ GREETING: 'Hello' }),
    );
    const first = executor.submit(waitForFile, path);
    while (first.state === 'pending') await sleep(1);

    // The first job has the only slot. These wait, and the urgent one is first
    // in the queue.
    const second = executor.submit(greeting, 'Ada');
    const third = executor.submit(greeting, 'Grace');
    const urgent = executor.submitWith({ priority: 1 }, greeting, 'Alan');
    assert.deepEqual([executor.pending, executor.running], [3, 1]);

    // A call that has not started can be cancelled. It never runs.
    assert.equal(second.cancel(), true);
    assert.equal(first.cancel(), false);
    await assert.rejects(second, { name: 'AbortError' });

    writeFileSync(path, '');
    assert.equal(await first, 'seen');
    assert.equal(await urgent, 'Hello, Alan');
    assert.equal(await third, 'Hello, Grace');

    const names = ['Edsger', 'Barbara'];
    const greetings = [];
    for await (const each of executor.map(greeting, names)) {
      greetings.push(each);
    }
    assert.deepEqual(greetings, ['Hello, Edsger', 'Hello, Barbara']);

    // shutdown waits for pending and running calls. Later submits throw.
    await executor.shutdown();
    assert.throws(() => executor.submit(greeting, 'Dennis'), {
      code: 'ERR_JOBSERVER_EXECUTOR_SHUTDOWN',
    });
    assert.equal(executor.completed, 5);
    console.log('Calls were queued, cancelled, run by priority and shut down.');
  } finally {
    await jobserver.close();
    rmSync(folder, { recursive: true });
  }
}
