// How much CPU time and memory do 1,000 calls need while they wait for a slot?
import { setTimeout as sleep } from 'node:timers/promises';
import { Jobserver } from 'jobserver';
import { nothing } from './jobs.mjs';
import { table } from './measure.mjs';

const waiting = 1000;
const watchedMs = 3000;

const js = new Jobserver({ context: 'spawn', slots: 1 });
const holder = await js.submit(new URL('holder.mjs#hold', import.meta.url));
globalThis.gc();
const before = process.memoryUsage();
const submits = [];
for (let i = 0; i < waiting; i++) submits.push(js.submit(nothing));
for (const submit of submits) submit.catch(() => undefined);
globalThis.gc();
const after = process.memoryUsage();
await sleep(500);

const start = process.cpuUsage();
await sleep(watchedMs);
const { user, system } = process.cpuUsage(start);
holder.kill('SIGKILL');
await js.close();

const grown =
  after.heapUsed + after.external - before.heapUsed - before.external;
table(
  `${waiting} calls waiting for a slot`,
  ['', ''],
  [
    [
      'CPU of the parent',
      `${((100 * (user + system)) / 1e3 / watchedMs).toFixed(2)} % of one core`,
    ],
    ['memory for each', `${Math.round(grown / waiting)} bytes`],
  ],
);
