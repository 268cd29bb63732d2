// A job may have limits. The one that has ended it is named by its error. A job that is
// lost can be started again, and none of this touches the other jobs.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { devNull } from 'node:os';
import { Jobserver, LostResult, isWorker, jobInfo } from 'jobserver';

export function compute() {
  for (;;);
}

export function collect() {
  const all = [];
  for (;;) all.push(new Array(100_000).fill({}).map(() => ({})));
}

export function open() {
  writeFileSync(devNull, 'fine');
  return 'opened';
}

// Crashes at its first attempt.
export function crashOnce() {
  const { attempt } = jobInfo();
  if (attempt === 1) process.abort();
  return attempt;
}

if (!isWorker) {
  const jobserver = new Jobserver({ slots: 2 });
  const limited = (limits) =>
    jobserver.with({ limits: { ...limits, coreDump: 0 } });
  try {
    // CPU time, in milliseconds; the kernel counts whole seconds.
    await assert.rejects(limited({ cpuTime: 1000 }).run(compute), (error) => {
      assert(error instanceof LostResult);
      assert.equal(error.signal, 'SIGXCPU');
      assert.match(error.message, /cpuTime of 1000 ms/);
      return true;
    });

    // The heap of V8, in MiB. V8 ends a process that runs out of it.
    const small = limited({}).with({ maxHeapMb: 64, output: 'ignore' });
    await assert.rejects(small.run(collect), { limit: /64 MiB heap/ });

    // Time on the clock.
    const hasty = jobserver.with({ runTimeout: 200, killGrace: 100 });
    await assert.rejects(hasty.run(compute), { name: 'TimeoutError' });

    // Others run as before.
    assert.equal(await limited({ openFiles: 100 }).run(open), 'opened');

    const stubborn = limited({}).with({ retries: 2, output: 'ignore' });
    assert.equal(await stubborn.run(crashOnce), 2);
  } finally {
    await jobserver.close();
  }
  console.log('Each limit has ended its job, and its error says which.');
}
