// What a job writes can be kept apart from what others write: as one piece, as text, or
// line by line while it runs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Jobserver, isWorker } from 'jobserver';

export function build(name) {
  console.log(`building ${name}`);
  // What programs write that the job starts is its output, too.
  spawnSync('sh', ['-c', `echo ${name}: 1 warning >&2`], { stdio: 'inherit' });
  return name.length;
}

export function fail() {
  console.error('missing semicolon');
  throw new Error('The build has failed');
}

export function countLines() {
  return readFileSync(0, 'utf8').split('\n').length;
}

if (!isWorker) {
  const jobserver = new Jobserver({ slots: 2 });
  try {
    // The future has it.
    const captured = jobserver.with({ output: 'capture' });
    const future = await captured.submit(build, ['lib']);
    assert.equal(await future.result(), 3);
    assert.equal(future.stdout, 'building lib\n');
    assert.equal(future.stderr, 'lib: 1 warning\n');

    // So has an error, so that a log of it says why.
    await assert.rejects(captured.run(fail), { stderr: 'missing semicolon\n' });

    // Each line as it comes.
    const seen = [];
    const lines = (line, stream) => seen.push(`${stream}: ${line}`);
    await jobserver.with({ output: { lines } }).run(build, 'docs');
    assert.deepEqual(seen.sort(), [
      'stderr: docs: 1 warning',
      'stdout: building docs',
    ]);

    // In one piece, where this program writes.
    const grouped = jobserver.with({ output: 'group' });
    await Promise.all([grouped.run(build, 'a'), grouped.run(build, 'b')]);

    // A job reads its input, and is measured.
    const given = await jobserver
      .with({ input: 'one\ntwo\nthree' })
      .submit(countLines);
    assert.equal(await given.result(), 3);
    const { user, system, peakMemory } = given.usage;
    assert(user + system > 0 && peakMemory > 0);
  } finally {
    await jobserver.close();
  }
  console.log('The output of each job was kept apart.');
}
