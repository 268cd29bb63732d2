// How much memory does a job need, and how much slower does it start when its
// parent uses much memory?
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Jobserver } from 'jobserver';
import { pause } from './jobs.mjs';
import { inTurn, table } from './measure.mjs';

const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const ms = (value) => `${value.toFixed(1)} ms`;

/** Bytes of one kind of memory; proc_pid_smaps(5) lists the kinds. */
function memory(pid, kind) {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return 1024 * Number(new RegExp(`^${kind}: +(\\d+)`, 'm').exec(rollup)[1]);
}

// PSS divides shared memory by the processes that share it, so there are several.
const idle = 8;
const rows = [];
for (const context of ['spawn', 'forkserver', 'fork']) {
  const preload = [fileURLToPath(new URL('jobs.mjs', import.meta.url))];
  const jobserver = new Jobserver({ context, slots: idle, preload });
  const futures = [];
  for (let i = 0; i < idle; i++) {
    futures.push(await jobserver.submit(pause, [60_000]));
  }
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const sum = (kind) =>
    futures.reduce((all, { pid }) => all + memory(pid, kind), 0) / idle;
  rows.push([context, mib(sum('Pss')), mib(sum('Rss'))]);
  for (const future of futures) future.kill('SIGKILL');
  await jobserver.close();
}
table(
  `Memory of a job process, one of ${idle} that sleep`,
  ['', 'PSS', 'RSS'],
  rows,
);

const jobserver = new Jobserver({ context: 'fork', slots: 1 });
const ballast = [];
const costs = [];
for (const megabytes of [50, 500, 2000]) {
  // Large arrays are in V8's heap; buffers would be outside of it.
  while (process.memoryUsage().heapUsed < megabytes * 1e6) {
    ballast.push(new Array(500_000).fill(0.5));
  }
  const times = await inTurn(10, {
    fork: () => jobserver.run(() => ballast.length),
    node: () =>
      once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit'),
  });
  const ratio = (times.fork / times.node).toFixed(2);
  costs.push([`${megabytes} MB`, ms(times.fork), ratio]);
}
table(
  'A fork job that does nothing, by the heap of its parent',
  ['heap', 'submit to result', 'over `node -e 0`'],
  costs,
);

// Memory that the parent frees during the job would count as the job's own.
ballast.length = 0;
globalThis.gc();
const numbers = new Float64Array(2 ** 27).fill(1);
const read = () => {
  const before = memory('self', 'Private_Dirty');
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum += numbers[i];
  return [sum, memory('self', 'Private_Dirty') - before];
};
const [sum, copied] = await jobserver.run(read);
if (sum !== numbers.length) throw new Error(`The job has returned ${sum}`);
await jobserver.close();
console.log(
  `\nA fork job that reads a typed array of ${mib(numbers.byteLength)} of its ` +
    `parent has ${mib(copied)} of memory of its own afterwards.`,
);
