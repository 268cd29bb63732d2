// What do a steady service, large results and short computations cost in re-used
// processes, compared with one process and with pools of threads?
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commandLine } from '../scripts/command.mjs';
import { comparePools } from './apart.mjs';
import { inTurn, table } from './measure.mjs';
import { open, peers, slots } from './pools.mjs';

const usage = `
Usage: node bench/service.mjs [--seconds=N] [--files=N] [--rounds=N]

Measures jobs of 1 ms that come at a steady rate, jobs that return large values, and
short computations. Needs Linux.

  --seconds=N  how long the jobs come, by default 20
  --files=N    how many files of 5 MB are parsed, by default 40
  --rounds=N   how many times everything but the steady rate is measured, by default 5
`;
const { values } = commandLine(usage, {
  options: {
    seconds: { type: 'string', default: '20' },
    files: { type: 'string', default: '40' },
    rounds: { type: 'string', default: '5' },
  },
});
const { seconds, files, rounds } = Object.fromEntries(
  Object.entries(values).map(([name, text]) => [name, Number(text)]),
);
if (!(seconds > 0) || !(files >= 1) || !(rounds >= 1)) {
  console.error(`A number is missing or too small\n${usage}`);
  process.exit(2);
}

const serial = 'one process';
const pools = [serial, 'forkserver, reused', 'spawn, reused', 'piscina'];
const module = new URL('works.mjs', import.meta.url).href;
const ms = (value) => `${value.toFixed(1)} ms`;
const over = (value, base) => (value / base).toFixed(2);

steadyRate();
largeResults();
await shortComputations();

function steadyRate() {
  const perSecond = 200;
  const figures = comparePools(pools, 1, {
    task: { module, name: 'spin' },
    values: Array(perSecond * seconds).fill(1),
    perSecond,
  });
  const rows = Object.entries(figures).map(([name, { p50, p95, cpu }]) => [
    name,
    ms(p50),
    ms(p95),
    `${cpu} ms`,
    over(cpu, figures.piscina.cpu),
  ]);
  const head = ['', 'median', '95 % within', 'CPU', 'over piscina'];
  table(`${perSecond} jobs of 1 ms a second for ${seconds} s`, head, rows);
}

function largeResults() {
  const folder = mkdtempSync(join(tmpdir(), 'jobserver-bench-'));
  try {
    const paths = Array.from({ length: files }, (_, i) => {
      const path = join(folder, `${i}.jsonl`);
      writeFileSync(path, linesOfJson(i));
      return path;
    });
    const task = { module, name: 'parseLines' };
    const figures = comparePools(pools, rounds, { task, values: paths });
    const rows = Object.entries(figures).map(([name, { wall, cpu }]) => [
      name,
      ms(wall),
      over(wall, figures.piscina.wall),
      `${cpu} ms`,
      over(cpu, figures.piscina.cpu),
    ]);
    const title = `${files} files of 5 MB of JSON lines; a Map and 1 MiB return`;
    const head = ['', 'wall time', 'over piscina', 'CPU', 'over piscina'];
    table(title, head, rows);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** 5 MB of text, of which each line is an object. */
function linesOfJson(file) {
  const lines = [];
  for (let i = 0, size = 0; size < 5e6; size += lines[i++].length + 1) {
    const value = (i * 7919 + file) % 10_007;
    const name = `name ${(i * 31 + file) % 5000}`;
    lines.push(JSON.stringify({ name, value, tags: ['first', 'second'] }));
  }
  return lines.join('\n');
}

async function shortComputations() {
  const ranges = Array.from({ length: 64 }, (_, i) => [1e6 + i * 2e4, 2e4]);
  const task = { module, name: 'primes' };
  const opened = {};
  for (const name of [...pools.slice(0, -1), ...peers]) {
    opened[name] = await open(name, task);
  }
  const expected = JSON.stringify(await compute(serial));
  const actions = Object.keys(opened).map((name) => [
    name,
    async () => {
      if (JSON.stringify(await compute(name)) === expected) return;
      throw new Error(`${name} and one process differ in a result: primes`);
    },
  ]);
  const times = await inTurn(rounds, Object.fromEntries(actions));
  for (const pool of Object.values(opened)) await pool.close();

  const best = Math.min(...peers.map((name) => times[name]));
  const rows = Object.entries(times).map(([name, time]) => [
    name,
    ms(time),
    over(times[serial], time),
    over(time, best),
  ]);
  const title = `${ranges.length} computations of about 5 ms, ${slots} slots, workers have started`;
  table(title, ['', 'wall time', 'speed-up', 'over the best peer'], rows);

  function compute(name) {
    return Promise.all(ranges.map((range) => opened[name].run(range)));
  }
}
