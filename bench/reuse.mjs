// How many small jobs a second do processes of several jobs run, and how long does
// one take, compared with the pools of threads and processes on npm?
import { inTurn, table } from './measure.mjs';
import { open, peers, slots } from './pools.mjs';

const rounds = 5;
const windowMs = 1000;
const names = {
  'forkserver, fresh': 'a process for each job',
  'forkserver, reused': 'forkserver, jobsPerProcess: Infinity',
  'spawn, reused': 'spawn, jobsPerProcess: Infinity',
  ...Object.fromEntries(peers.map((name) => [name, name])),
};

const task = {
  module: new URL('jobs.mjs', import.meta.url).href,
  name: 'nothing',
  // What Piscina sends to a thread that is busy; its default is 1.
  ahead: 16,
};
const pools = {};
for (const [name, label] of Object.entries(names)) {
  pools[label] = await open(name, task);
  await pools[label].run();
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
  (many.piscina / many[name]).toFixed(2),
  `${Math.round(one[name] * 1000)} µs`,
  (one[name] / one.piscina).toFixed(2),
]);
const head = ['', 'jobs a second, 64 in flight', 'over piscina'];
table(
  `jobs that do nothing, ${slots} slots`,
  [...head, 'one at a time', 'over piscina'],
  rows,
);

for (const pool of Object.values(pools)) await pool.close();
