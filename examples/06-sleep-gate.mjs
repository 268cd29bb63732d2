// A gate decides, besides the slots, when a job may start: here nothing starts
// while a file named "hold" exists. A look at the load or at the free memory
// serves just as well.
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
    // The gate runs in this process, so it may be a closure. undefined lets
    // the job start; a number is the time until the next question.
    let questions = 0;
    const gated = jobserver.replaceSleep(() => {
      questions += 1;
      return existsSync(hold) ? 10 : undefined;
    });

    assert.equal(await gated.run(exists, folder), true);
    assert.equal(questions, 1);

    writeFileSync(hold, '');
    const patient = { timeout: 30 };
    await assert.rejects(gated.submit(exists, [hold], patient), Blocked);
    assert.ok(questions > 1);

    // The handle that the gated one was derived from has no gate.
    assert.equal(await jobserver.run(exists, hold), true);

    // The file goes when the gate has been asked three times more.
    const enough = questions + 3;
    const watched = gated.replaceSleep(() => {
      questions += 1;
      if (questions === enough) rmSync(hold);
      return existsSync(hold) ? 10 : undefined;
    });
    assert.equal(await watched.run(exists, hold), false);
    assert.equal(questions, enough);
  } finally {
    await jobserver.close();
    rmSync(folder, { recursive: true });
  }
  console.log('The gate held jobs back until it let them start.');
}
