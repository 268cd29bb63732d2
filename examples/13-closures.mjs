// The fork context: a job is a function as it stands here, with all that it can
// see, in a copy of this process. Only its result is sent. Linux.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Jobserver } from 'jobserver';

// A fork has one thread, so its parent may have no others. Usually a program is
// started with these flags; this one starts itself with them.
const flags = ['--single-threaded', '--v8-pool-size=1'];

if (process.platform !== 'linux') {
  console.log('skipped: only Linux can fork a node process');
} else if (!process.execArgv.includes(flags[0])) {
  const self = fileURLToPath(import.meta.url);
  const options = { stdio: 'inherit' };
  const { status } = spawnSync(process.execPath, [...flags, self], options);
  process.exitCode = status ?? 1;
} else {
  const jobserver = new Jobserver({ context: 'fork', slots: 2 });
  try {
    // Nothing of this is exported, copied or encoded.
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

    // A job has a copy: what it changes, it changes for itself.
    await jobserver.run(() => index.clear());
    assert.equal(index.size, 100_000);

    // It has no event loop, which its parent needs for itself.
    await assert.rejects(
      jobserver.run(async () => 1),
      /returned a promise/,
    );
    console.log('closures ran in forks of their process');
  } finally {
    await jobserver.close();
  }
}
