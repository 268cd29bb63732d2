// Does the completion of a job cost more when many others are outstanding? First,
// jobs that run: their workers are shells, so that a thousand of them fit into
// memory. Then, calls that wait for processes which run several jobs.
import { createRequire } from 'node:module';
import { nothing } from './jobs.mjs';
import { median, table } from './measure.mjs';

const require = createRequire(import.meta.url);
const { native } = require('../dist/system/binding.js');
const { initialControls } = require('../dist/job/controls.js');
const { Jobserver } = require('../dist/jobserver.js');
const { launchers } = require('../dist/launch/launchers.js');
const { Pool } = require('../dist/job/pool.js');
const { SlotPipe } = require('../dist/slots/slot-pipe.js');

const rounds = 300;
let program = 'idle';
const scripts = {
  // A frame of length 0: its first byte is the kind.
  quick: "printf '\\000\\000\\000\\000\\000\\000\\000\\000\\000' >&4",
  idle: 'exec sleep 1000',
};
const real = launchers.spawn.launch;
launchers.spawn.launch = (order, resultWriter, token) => {
  const { spawn } = native;
  native.spawn = (_file, _argv, ...rest) =>
    spawn('/bin/sh', ['sh', '-c', scripts[program]], ...rest);
  try {
    return real(order, resultWriter, token);
  } finally {
    native.spawn = spawn;
  }
};

const js = new Jobserver(
  new Pool(SlotPipe.open(2000)),
  initialControls({ context: 'spawn' }),
);

async function quickJob() {
  program = 'quick';
  const future = await js.submit(nothing);
  program = 'idle';
  const start = process.cpuUsage();
  await future.wait();
  const { user, system } = process.cpuUsage(start);
  return user + system;
}

const rows = [];
const idle = [];
for (const outstanding of [10, 1000]) {
  globalThis.gc();
  const before = process.memoryUsage();
  const already = idle.length;
  while (idle.length < outstanding) idle.push(await js.submit(nothing));
  globalThis.gc();
  const after = process.memoryUsage();
  const grown =
    after.heapUsed + after.external - before.heapUsed - before.external;
  const costs = [];
  for (let i = 0; i < rounds; i++) costs.push(await quickJob());
  rows.push([
    outstanding,
    `${median(costs)} µs`,
    `${Math.round(grown / (outstanding - already))} bytes`,
  ]);
}
for (const future of idle) future.kill('SIGKILL');
await js.close();

table(
  'Completion of one job beside others',
  ['outstanding', 'CPU of the parent, median', 'memory of each future'],
  rows,
);
launchers.spawn.launch = real;

const reused = new Jobserver({ slots: 2, jobsPerProcess: Infinity });
const calls = 20_000;

/** CPU microseconds for one call, while so many others are outstanding. */
function costOfCall(outstanding) {
  return new Promise((resolve) => {
    let left = 2 * outstanding + calls;
    let open = 0;
    let done = 0;
    let start;
    let cost;
    const call = async () => {
      left -= 1;
      open += 1;
      await reused.run(nothing);
      open -= 1;
      done += 1;
      // The calls of the beginning are over, then those that were measured.
      if (done === outstanding) start = process.cpuUsage();
      if (done === outstanding + calls) {
        const { user, system } = process.cpuUsage(start);
        cost = (user + system) / calls;
      }
      if (left > 0) void call();
      else if (open === 0) resolve(cost);
    };
    for (let i = 0; i < outstanding; i++) void call();
  });
}

const costs = { 10: [], 100: [], 1000: [], 10_000: [] };
for (let round = -1; round < 3; round++) {
  for (const [outstanding, all] of Object.entries(costs)) {
    const cost = await costOfCall(Number(outstanding));
    // The first round is a warm-up.
    if (round >= 0) all.push(cost);
  }
}
await reused.close();

table(
  'Calls that wait for processes of several jobs',
  ['outstanding', 'CPU of the parent for one, median'],
  Object.entries(costs).map(([outstanding, all]) => [
    outstanding,
    `${median(all).toFixed(1)} µs`,
  ]),
);
