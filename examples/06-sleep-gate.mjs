// A sleep gate is a further condition for starting a job. Here no job starts
// while a file named "hold" exists. A gate could also check the load or the
// free memory.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Blocked, Jobserver, isWorker } from 'jobserver';

export function exists(path) {
  return existsSync(path);
}

if (!isWorker) {
  const folder = mkdtempSync(join(tmpdir(), 'jobserver-'));
  const hold = join(folder, 'hold');
  const jobserver = new Jobserver({ slots: 2 });
  try {
    // The gate runs in this process, so it may be a closure. If it returns
    // undefined, the job may start. A number is the milliseconds until the gate
    // is called again.
    let calls = 0;
    const gated = jobserver.replaceSleep(() => {
      calls += 1;
      return existsSync(hold) ? 10 : undefined;
    });

    assert.equal(await gated.run(exists, folder), true);
    assert.equal(calls, 1);

    writeFileSync(hold, '');
    const patient = { timeout: 30 };
    await assert.rejects(gated.submit(exists, [hold], patient), Blocked);
    assert.ok(calls > 1);

    // The handle that `gated` was derived from has no gate.
    assert.equal(await jobserver.run(exists, hold), true);

    // This gate removes the file at its third call.
    const enough = calls + 3;
    const watched = gated.replaceSleep(() => {
      calls += 1;
      if (calls === enough) rmSync(hold);
      return existsSync(hold) ? 10 : undefined;
    });
    assert.equal(await watched.run(exists, hold), false);
    assert.equal(calls, enough);
  } finally {
    await jobserver.close();
    rmSync(folder, { recursive: true });
  }
  console.log('The gate delayed each job until it admitted it.');
}
