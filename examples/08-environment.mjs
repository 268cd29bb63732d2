// reviseEnv derives a handle whose jobs get other environment variables. This
// process and the jobs of other handles keep their own.
import assert from 'node:assert/strict';
import { Jobserver, isWorker } from 'jobserver';

// The variables are set before the process of a job imports anything.
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

    // A further revision is added to the earlier one. For a repeated name the
    // last value counts. Pairs are accepted instead of an object.
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

    // Nothing has changed in this process. A job gets the variables that this
    // process has when submit is called.
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

    // Numbers are not converted to strings.
    assert.throws(() => jobserver.reviseEnv({ LEVEL: 7 }), TypeError);
  } finally {
    await jobserver.close();
  }
  console.log('Each handle gave its jobs an environment of their own.');
}
