// How long does a job that does nothing take from submit to result, in each
// context, compared with the start of a process?
import { execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Jobserver } from 'jobserver';
import { nothing, parent } from './jobs.mjs';
import {
  faultsOfChildren,
  inTurn,
  pauseMs,
  table,
  threadless,
} from './measure.mjs';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'jobserver-bench-'));
const program = join(folder, 'true');
execFileSync('cc', ['-O2', '-o', program, here('true.c')]);

function open(context, slots, spares) {
  process.env.JOBSERVER_SPARES = spares;
  return new Jobserver({ context, slots, preload: [here('jobs.mjs')] });
}

async function openSpawnedCommonJs(slots) {
  const { default: jobs } = await import('./nothing.cjs');
  const jobserver = new Jobserver({ context: 'spawn', slots });
  return () => jobserver.run(jobs.nothing);
}

// The first job starts the forkserver, which keeps its number of spares.
async function openWarm(context, slots, spares = '2') {
  const jobserver = open(context, slots, spares);
  await jobserver.run(nothing);
  return async (count = 1) => {
    process.env.JOBSERVER_SPARES = spares;
    const jobs = Array.from({ length: count }, () => jobserver.run(nothing));
    await Promise.all(jobs);
  };
}

const forking = fork(here('forking.mjs'), { execArgv: threadless });

function openForking(slots) {
  return async (count = 1) => {
    forking.send({ slots, count });
    const [elapsed] = await once(forking, 'message');
    return { elapsed };
  };
}

const contexts = {
  'spawn job': (slots) => openWarm('spawn', slots),
  'forkserver job': (slots) => openWarm('forkserver', slots),
  'forkserver job, no spares': (slots) => openWarm('forkserver', slots, '0'),
  'fork job': openForking,
};

async function runNode(code) {
  const node = spawn(process.execPath, ['-e', code], { stdio: 'ignore' });
  await once(node, 'exit');
}

const actions = {
  'fork of a node that ends at once': openForking(0),
  'node -e 0': () => runNode('0'),
  'node that imports an ES module': () =>
    runNode(`import(${JSON.stringify(here('jobs.mjs'))})`),
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
actions['spawn job of a CommonJS module'] = await openSpawnedCommonJs(1);

const floor = 'posix_spawn of /bin/true';
const floorRounds = 10;

async function compare(title, rounds, inRow) {
  const argv = [floorRounds, inRow > 1 ? 0 : pauseMs].map(String);
  const spawnTrue = () => ({
    elapsed: Number(execFileSync(program, argv, { encoding: 'utf8' })),
  });
  const all = { [floor]: spawnTrue, ...actions };
  const times = await inTurn(rounds, all, inRow);
  const over = (value, base) => (value / base).toFixed(2);
  const rows = Object.entries(times).map(([name, value]) => [
    name,
    `${value.toFixed(2)} ms`,
    over(value, times['node -e 0']),
    over(value, times['child_process.fork and a message']),
    over(value, times[floor]),
  ]);
  table(
    title,
    [
      '',
      'median',
      'over `node -e 0`',
      'over `child_process.fork`',
      'over `posix_spawn`',
    ],
    rows,
  );
}

const what = 'One job that does nothing, from submit to result';
await compare(`${what}, each as soon as the one before it has ended`, 8, 10);
await compare(
  `${what}, each after ${pauseMs} ms in which nothing happens`,
  30,
  1,
);

const rates = [];
for (const [name, openContext] of Object.entries(contexts)) {
  const row = [name];
  for (const slots of [1, 2]) {
    const submit = await openContext(slots);
    const count = name.startsWith('spawn') ? 40 : 300;
    const start = performance.now();
    const own = await submit(count);
    row.push(
      Math.round((1e3 * count) / (own?.elapsed ?? performance.now() - start)),
    );
  }
  rates.push(row);
}
table('Jobs a second, all submitted at once', ['', '1 slot', '2 slots'], rates);

/** Of a job, from the fork of its process to the end. */
async function faultsOfJob(context, preload) {
  process.env.JOBSERVER_SPARES = '2';
  const jobserver = new Jobserver({ context, slots: 1, preload });
  const zygote = await jobserver.run(parent);
  const pid = context === 'forkserver' ? zygote : 'self';
  const before = faultsOfChildren(pid);
  for (let i = 0; i < 50; i++) await jobserver.run(nothing);
  return Math.round((faultsOfChildren(pid) - before) / 50);
}

const module = [here('jobs.mjs')];
const beforeNode = faultsOfChildren();
await runNode('0');
table(
  'Page faults of a process, and pages that the kernel provides ahead',
  ['', 'pages'],
  [
    ['node -e 0', faultsOfChildren() - beforeNode],
    ['spawn', await faultsOfJob('spawn', [])],
    ['forkserver', await faultsOfJob('forkserver', [])],
    ['forkserver, module preloaded', await faultsOfJob('forkserver', module)],
  ],
);
forking.disconnect();
rmSync(folder, { recursive: true });
