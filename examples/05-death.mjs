// When a job dies, only its own future rejects. All other jobs go on.
import assert from 'node:assert/strict';
import { Jobserver, LostResult, isWorker } from 'jobserver';

export function exit(code) {
  process.exit(code);
}

// SIGABRT ends the job, after node has printed its stack to stderr.
export function abort() {
  process.abort();
}

export function killMyself(signal) {
  process.kill(process.pid, signal);
  // The signal may arrive a little later.
  for (;;);
}

export function letters(text) {
  return [...new Set(text)].sort().join('');
}

// Function, arguments, and the value or the way that the job ends.
const calls = [
  [letters, ['jobserver'], 'bejorsv'],
  [exit, [3], { exitCode: 3, signal: null }],
  [letters, ['letters'], 'elrst'],
  [abort, [], { exitCode: null, signal: 'SIGABRT' }],
  [killMyself, ['SIGKILL'], { exitCode: null, signal: 'SIGKILL' }],
  [exit, [0], { exitCode: 0, signal: null }],
  [letters, ['death'], 'adeht'],
];

if (!isWorker) {
  const jobserver = new Jobserver({ slots: 2 });
  try {
    const futures = [];
    for (const [fn, args] of calls) {
      futures.push(await jobserver.submit(fn, args));
    }
    let lost = 0;
    for (const [index, future] of futures.entries()) {
      const [fn, , expected] = calls[index];
      if (fn === letters) {
        assert.equal(await future.result(), expected);
        continue;
      }
      await assert.rejects(future.result(), (error) => {
        assert.ok(error instanceof LostResult);
        assert.equal(error.code, 'ERR_JOBSERVER_LOST_RESULT');
        assert.equal(error.exitCode, expected.exitCode);
        assert.equal(error.signal, expected.signal);
        return true;
      });
      lost += 1;
    }
    assert.equal(lost, 4);

    // The slots of the dead jobs are free again.
    assert.equal(jobserver.running, 0);
    assert.equal(await jobserver.run(letters, 'life'), 'efil');
  } finally {
    await jobserver.close();
  }
  console.log('Four jobs died, and only their results were lost.');
}
