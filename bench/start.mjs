// What does a job cost that does nothing, from submit to result, in each
// context, over what a process costs at all?
import { execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Jobserver } from 'jobserver';
import { nothing } from './jobs.mjs';
import { inTurn, median, table } from './measure.mjs';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'jobserver-bench-'));
const program = join(folder, 'true');
execFileSync('cc', ['-O2', '-o', program, here('true.c')]);

function open(context, slots, spares) {
  process.env.JOBSERVER_SPARES = spares;
  return new Jobserver({ context, slots, preload: [here('jobs.mjs')] });
}

// One job starts the forkserver, which keeps the number of spares.
async function openWarm(context, slots, spares = '2') {
  const jobserver = open(context, slots, spares);
  await jobserver.run(nothing);
  return async (count = 1) => {
    process.env.JOBSERVER_SPARES = spares;
    const jobs = Array.from({ length: count }, () => jobserver.run(nothing));
    await Promise.all(jobs);
  };
}

const contexts = {
  'spawn job': (slots) => openWarm('spawn', slots),
  'forkserver job': (slots) => openWarm('forkserver', slots),
  'forkserver job, no spares': (slots) => openWarm('forkserver', slots, '0'),
  'fork job': (slots) => openWarm('fork', slots),
};

const actions = {
  'node -e 0': () =>
    once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit'),
  'child_process.fork and a message': async () => {
    const forked = fork(here('forked.mjs'), { stdio: 'ignore', execArgv: [] });
    const exited = once(forked, 'exit');
    await once(forked, 'message');
    forked.disconnect();
    await exited;
  },
};
for (const [name, openContext] of Object.entries(contexts)) {
  actions[name] = await openContext(1);
}
const floors = [];
actions.floor = () => {
  floors.push(Number(execFileSync(program, { encoding: 'utf8' })));
};

const times = await inTurn(40, actions);
const floor = median(floors);
delete times.floor;
const ms = (value) => `${value.toFixed(1)} ms`;
const over = (value, base) => (value / base).toFixed(2);
const rows = Object.entries(times).map(([name, value]) => [
  name,
  ms(value),
  over(value, times['node -e 0']),
  over(value, times['child_process.fork and a message']),
  over(value, floor),
]);
rows.unshift(['posix_spawn of /bin/true', ms(floor), '', '', '1.00']);
table(
  'One job that does nothing, from submit to result, nothing else running',
  [
    '',
    'median',
    'over `node -e 0`',
    'over `child_process.fork`',
    'over `posix_spawn`',
  ],
  rows,
);

const rates = [];
for (const [name, openContext] of Object.entries(contexts)) {
  const row = [name];
  for (const slots of [1, 2]) {
    const submit = await openContext(slots);
    const count = name.startsWith('spawn') ? 40 : 300;
    const start = performance.now();
    await submit(count);
    row.push(Math.round((1e3 * count) / (performance.now() - start)));
  }
  rates.push(row);
}
table('Jobs a second, all submitted at once', ['', '1 slot', '2 slots'], rates);
rmSync(folder, { recursive: true });
