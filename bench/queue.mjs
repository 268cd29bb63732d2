// Do the calls of an executor cost more when many are pending?
import { Jobserver, JobserverExecutor } from 'jobserver';
import { nothing } from './jobs.mjs';
import { table } from './measure.mjs';

const hold = new URL('holder.mjs#hold', import.meta.url);
const completions = 200;

const rows = [];
for (const pending of [1000, 10_000, 100_000]) {
  const js = new Jobserver({ slots: 2 });
  const executor = new JobserverExecutor(js);
  const holder = await js.submit(hold);
  const other = await js.submit(hold);

  globalThis.gc();
  const before = used();
  const queued = [];
  const submitUs = await cost(pending, () => {
    for (let i = 0; i < pending; i++) queued.push(executor.submit(nothing));
  });
  globalThis.gc();
  const bytes = (used() - before) / pending;

  other.kill('SIGKILL');
  const completeUs = await cost(completions, async () => {
    while (executor.completed < completions) await queued[executor.completed];
  });

  // From the middle outwards, because the ends of a queue are cheap to remove.
  const rest = queued.filter(({ state }) => state === 'pending');
  const cancelUs = await cost(rest.length, () => {
    const middle = rest.length >> 1;
    for (let i = 0; i <= middle; i++) {
      rest[middle + i]?.cancel();
      rest[middle - i]?.cancel();
    }
  });
  holder.kill('SIGKILL');
  await executor.shutdown();
  await js.close();
  rows.push([
    pending.toLocaleString('en'),
    `${submitUs.toFixed(1)} µs`,
    `${completeUs.toFixed(0)} µs`,
    `${cancelUs.toFixed(1)} µs`,
    `${Math.round(bytes)} bytes`,
  ]);
}

table(
  'CPU of the parent for one call of an executor',
  [
    'pending calls',
    'submit',
    'start to completion',
    'cancel',
    'memory of each',
  ],
  rows,
);

function used() {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Microseconds of CPU time that `action` takes for each of its `count` calls. */
async function cost(count, action) {
  const start = process.cpuUsage();
  await action();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / count;
}
