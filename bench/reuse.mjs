// How many small jobs a second do processes of several jobs run, and how long does
// one take, compared with the pools of threads and processes on npm?
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Worker as JestWorker } from 'jest-worker';
import { Jobserver } from 'jobserver';
import Piscina from 'piscina';
import Tinypool from 'tinypool';
import { nothing } from './jobs.mjs';
import { inTurn, table } from './measure.mjs';

const workerpool = createRequire(import.meta.url)('workerpool');
const filename = fileURLToPath(new URL('jobs.mjs', import.meta.url));
const slots = 2;
const rounds = 5;
const windowMs = 1000;

const jobservers = {
  'a process for each job': { jobsPerProcess: 1 },
  'forkserver, jobsPerProcess: Infinity': { jobsPerProcess: Infinity },
  'spawn, jobsPerProcess: Infinity': {
    jobsPerProcess: Infinity,
    context: 'spawn',
  },
};

function openJobserver(options) {
  const js = new Jobserver({ slots, ...options });
  return { run: () => js.run(nothing), close: () => js.close() };
}

function openPiscina() {
  const pool = new Piscina({
    filename,
    minThreads: slots,
    maxThreads: slots,
    concurrentTasksPerWorker: 16,
  });
  const run = () => pool.run(undefined, { name: 'nothing' });
  return { run, close: () => pool.destroy() };
}

function openTinypool(runtime) {
  const threads = { minThreads: slots, maxThreads: slots };
  const pool = new Tinypool({ filename, runtime, ...threads });
  const run = () => pool.run(undefined, { name: 'nothing' });
  return { run, close: () => pool.destroy() };
}

function openWorkerpool(workerType) {
  const workers = { minWorkers: slots, maxWorkers: slots };
  const pool = workerpool.pool({ workerType, ...workers });
  const run = () => pool.exec(nothing, []);
  return { run, close: () => pool.terminate() };
}

function openJestWorker(enableWorkerThreads) {
  const worker = new JestWorker(filename, {
    exposedMethods: ['nothing'],
    numWorkers: slots,
    enableWorkerThreads,
  });
  return { run: () => worker.nothing(), close: () => worker.end() };
}

const openers = {
  ...Object.fromEntries(
    Object.entries(jobservers).map(([name, options]) => [
      name,
      () => openJobserver(options),
    ]),
  ),
  'piscina (threads)': openPiscina,
  'tinypool (threads)': () => openTinypool('worker_threads'),
  'tinypool (processes)': () => openTinypool('child_process'),
  'workerpool (threads)': () => openWorkerpool('thread'),
  'workerpool (processes)': () => openWorkerpool('process'),
  'jest-worker (threads)': () => openJestWorker(true),
  'jest-worker (processes)': () => openJestWorker(false),
};

const pools = {};
for (const [name, open] of Object.entries(openers)) {
  pools[name] = open();
  await pools[name].run();
}

/** Milliseconds for one job, with so many in flight. */
async function timeOf({ run }, inFlight) {
  const end = performance.now() + windowMs;
  let count = 0;
  const line = async () => {
    while (performance.now() < end) {
      await run();
      count += 1;
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: inFlight }, line));
  return { elapsed: (performance.now() - start) / count };
}

function measure(inFlight) {
  const actions = Object.entries(pools).map(([name, pool]) => [
    name,
    () => timeOf(pool, inFlight),
  ]);
  return inTurn(rounds, Object.fromEntries(actions));
}

const many = await measure(64);
const one = await measure(1);
const rows = Object.keys(pools).map((name) => [
  name,
  Math.round(1000 / many[name]).toLocaleString('en'),
  (many['piscina (threads)'] / many[name]).toFixed(2),
  `${Math.round(one[name] * 1000)} µs`,
  (one[name] / one['piscina (threads)']).toFixed(2),
]);
const head = ['', 'jobs a second, 64 in flight', 'over piscina'];
table(
  `jobs that do nothing, ${slots} slots`,
  [...head, 'one at a time', 'over piscina'],
  rows,
);

for (const pool of Object.values(pools)) await pool.close();
