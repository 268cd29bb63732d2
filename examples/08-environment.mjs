// reviseEnv derives a handle whose jobs see other environment variables. This
// process and the jobs of other handles keep theirs.
import assert from 'node:assert/strict';
import { Jobserver, isWorker } from 'jobserver';

// The variables are in place before a job's process imports anything.
const stageAtImport = process.env.STAGE;

export function variables(...names) {
  return names.map((name) => process.env[name] ?? null);
}

export function stages() {
  return [stageAtImport, process.env.STAGE];
}

if (!isWorker) {
  process.env.STAGE = 'parent';
  process.env.REGION = 'north';
  const jobserver = new Jobserver({ slots: 2 });
  try {
    const test = jobserver.reviseEnv({ STAGE: 'test', REGION: null });
    assert.deepEqual(await test.run(variables, 'STAGE', 'REGION'), [
      'test',
      null,
    ]);
    assert.deepEqual(await test.run(stages), ['test', 'test']);

    // Revisions add up, and the last word counts. Pairs do as well.
    const both = test.reviseEnv([
      ['REGION', 'east'],
      ['REGION', 'west'],
      ['SHADE', 'blue'],
    ]);
    assert.deepEqual(await both.run(variables, 'STAGE', 'REGION', 'SHADE'), [
      'test',
      'west',
      'blue',
    ]);

    // Nothing has changed elsewhere; a job sees this process as it is when
    // submit is called.
    assert.deepEqual(variables('STAGE', 'REGION', 'SHADE'), [
      'parent',
      'north',
      null,
    ]);
    process.env.REGION = 'south';
    assert.deepEqual(await jobserver.run(variables, 'STAGE', 'REGION'), [
      'parent',
      'south',
    ]);

    // Numbers are not turned into strings behind one's back.
    assert.throws(() => jobserver.reviseEnv({ LEVEL: 7 }), TypeError);
  } finally {
    await jobserver.close();
  }
  console.log('Each handle gave its jobs an environment of their own.');
}
