// The fork context (Linux): a job runs in a copy of this process, so its
// function may be a closure over anything. Only the result is sent.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Jobserver } from 'jobserver';

// A fork has one thread, so its parent must have no others. A program is
// usually started with these flags. This one starts itself again with them.
const flags = ['--single-threaded', '--v8-pool-size=1'];

if (process.platform !== 'linux') {
  console.log('Skipped: only Linux can fork a node process.');
} else if (!process.execArgv.includes(flags[0])) {
  const self = fileURLToPath(import.meta.url);
  const options = { stdio: 'inherit' };
  const { status } = spawnSync(process.execPath, [...flags, self], options);
  process.exitCode = status ?? 1;
} else {
  const jobserver = new Jobserver({ context: 'fork', slots: 2 });
  try {
    // None of this is exported or serialized.
    const index = new Map();
    for (let n = 0; n < 100_000; n++)
      index.set(`key ${n}`, { n, twice: 2 * n });
    const isWanted = ({ n }) => n % 3 === 0;
    const sumOfWanted = (from, to) => {
      let sum = 0;
      for (let n = from; n < to; n++) {
        const entry = index.get(`key ${n}`);
        if (isWanted(entry)) sum += entry.twice;
      }
      return sum;
    };
    const ranges = [
      [0, 50_000],
      [50_000, 100_000],
    ];
    let sum = 0;
    for await (const part of jobserver.starmap(sumOfWanted, ranges))
      sum += part;
    assert.equal(sum, sumOfWanted(0, 100_000));

    // A job has a copy, so its changes affect only itself.
    await jobserver.run(() => index.clear());
    assert.equal(index.size, 100_000);

    // A job in this context has no event loop, so it must be synchronous.
    await assert.rejects(
      jobserver.run(async () => 1),
      /returned a promise/,
    );
    console.log('Closures ran in forks of this process.');
  } finally {
    await jobserver.close();
  }
}
