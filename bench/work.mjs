// How long does the work of build tools take in each pool, how much CPU time does it
// use, and when is the first file done, compared with one process alone?
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { commandLine, root } from '../scripts/command.mjs';
import { comparePools } from './apart.mjs';
import { table } from './measure.mjs';
import { peers, poolNames, slots } from './pools.mjs';
import { kinds } from './works.mjs';

const usage = `
Usage: node bench/work.mjs [--files=N] [--rounds=N] [--pools=TEXT] [--skip-fresh]
                           [KIND …]

Does the same work on the same files of node_modules in one process and in each
pool, and fails unless all results are the same. Needs Linux. The kinds of work, by
default all: ${Object.keys(kinds).join(', ')}.

  --files=N     how many files, by default 200
  --rounds=N    how many times, by default 3; once with a process for each file
  --pools=TEXT  only one process, and pools whose name contains the text
  --skip-fresh  no pool that starts a process for each file
`;
const { values, positionals } = commandLine(usage, {
  options: {
    files: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '3' },
    pools: { type: 'string', default: '' },
    'skip-fresh': { type: 'boolean', default: false },
  },
  allowPositionals: true,
});

const chosen = positionals.length > 0 ? positionals : Object.keys(kinds);
const [files, rounds] = [values.files, values.rounds].map(Number);
const unknown = chosen.filter((kind) => !Object.hasOwn(kinds, kind));
if (unknown.length > 0 || !(files >= 1) || !(rounds >= 1)) {
  console.error(`No such kind of work or number of times or files\n${usage}`);
  process.exit(2);
}

const serial = 'one process';
const pools = poolNames.filter(isMeasured);
const module = new URL('works.mjs', import.meta.url).href;
const folder = join(root, 'node_modules');
const all = readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name))
  .sort();

for (const kind of chosen) {
  const { tools } = kinds[kind];
  const paths = some(kinds[kind].files, files);
  const task = { module, name: kind, tools };
  const figures = comparePools(pools, rounds, { task, values: paths });
  print(`${kind}: ${paths.length} files, ${slots} slots`, figures);
}

function isMeasured(name) {
  if (name === serial) return true;
  if (!name.includes(values.pools)) return false;
  if (values['skip-fresh'] && name.includes('fresh')) return false;
  // Without preload, a fresh process loads its tool anew, as child_process.fork does.
  return !['forkserver, fresh', 'spawn, fresh'].includes(name);
}

/** So many files of a kind, from everywhere in the folder. */
function some({ pattern, from, to }, count) {
  const fitting = all.filter((path) => {
    if (!pattern.test(path)) return false;
    const { size } = statSync(path);
    return size >= from && size <= to;
  });
  const step = Math.max(1, fitting.length / count);
  const number = Math.min(count, fitting.length);
  return Array.from(
    { length: number },
    (_, i) => fitting[Math.floor(i * step)],
  );
}

function print(title, figures) {
  const one = figures[serial];
  const peerTimes = peers.flatMap((name) => figures[name]?.wall ?? []);
  const best = Math.min(...peerTimes);
  const ms = (value) => `${Math.round(value)} ms`;
  const over = (value, base) => (value / base).toFixed(2);
  const rows = Object.entries(figures).map(([name, { wall, cpu, first }]) => [
    name,
    ms(wall),
    over(wall, one.wall),
    peerTimes.length > 0 ? over(wall, best) : '',
    ms(cpu),
    over(cpu, one.cpu),
    ms(first),
  ]);
  const head = ['', 'wall time', 'over one process', 'over the best peer'];
  table(title, [...head, 'CPU', 'over one process', 'first file'], rows);
}
