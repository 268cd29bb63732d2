// What does a warm-up gain? Each tool works on files, each file in a fresh process:
// forked from a process that has the tool loaded, and from one that has used it
// before. One process that works on all of them again and again is the floor.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Jobserver } from 'jobserver';
import { median, table } from './measure.mjs';
import { files, toolNames, warmUp, work } from './tools.mjs';

const own = fileURLToPath(import.meta.url);
const preload = [fileURLToPath(new URL('tools.mjs', import.meta.url))];
const msPerTick = 10;
const kibPerMib = 1024;
// Others than those of the warm-up.
const paths = files().slice(20, 60);

/** The CPU time of a process and its children that have ended. */
function cpuOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).map(Number);
  return ticks.reduce((sum, each) => sum + each) * msPerTick;
}

function memoryOf(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(text.match(/^Pss: +(\d+)/m)[1]) / kibPerMib;
}

async function measure(options, rounds) {
  const jobserver = new Jobserver({
    slots: 1,
    preload,
    forkserverKeepAlive: 0,
    ...options,
  });
  const opened = performance.now();
  await jobserver.ready();
  const readyMs = performance.now() - opened;
  const all = [];
  const { zygote } = await jobserver.run(work, paths[0]);
  const before = cpuOf(zygote) + cpuOf(process.pid);
  const start = performance.now();
  for (let round = 0; round < rounds; round++) {
    for (const path of paths) all.push(await jobserver.run(work, path));
  }
  const count = all.length;
  const wall = (performance.now() - start) / count;
  const total = (cpuOf(zygote) + cpuOf(process.pid) - before) / count;
  const last = all.slice(-paths.length);
  const memory = memoryOf(zygote);
  await jobserver.close();
  const mean = (field) =>
    last.reduce((sum, each) => sum + each[field], 0) / last.length;
  const faults = median(last.map((each) => each.faults));
  return { readyMs, wall, total, job: mean('cpu'), faults, memory };
}

async function measureTool() {
  const serial = await measure({ jobsPerProcess: Infinity }, 5);
  const cold = await measure({}, 1);
  const warm = await measure({ warmUp, warmUpTimeout: 120_000 }, 2);
  console.log(JSON.stringify({ serial, cold, warm }));
}

const ms = (value) => `${value.toFixed(1)} ms`;
const times = (value) => `${value.toFixed(2)} ×`;

function report() {
  const cpu = [];
  const gain = [];
  for (const tool of toolNames) {
    const { stdout, status } = spawnSync(process.execPath, [own], {
      env: { ...process.env, BENCH_TOOL: tool },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (status !== 0) process.exit(1);
    const { serial, cold, warm } = JSON.parse(stdout);
    const ratio = (a, b) => times(a / b);
    cpu.push([
      tool,
      ms(serial.job),
      ...[cold, warm].map(({ job }) => `${ms(job)}, ${ratio(job, serial.job)}`),
      ...[cold, warm].map(({ total }) => ratio(total, serial.job)),
    ]);
    const pays = (warm.readyMs - cold.readyMs) / (cold.wall - warm.wall);
    gain.push([
      tool,
      ms(cold.wall),
      ms(warm.wall),
      ratio(cold.wall, warm.wall),
      `${(warm.readyMs / 1000).toFixed(1)} s`,
      `${Math.round(warm.memory)} MiB`,
      `${Math.ceil(pays)} files`,
    ]);
  }
  table(
    `CPU for a file of ${paths.length}: one process, and a fresh one for each`,
    ['', 'one', 'cold job', 'warm job', 'all, cold', 'all, warm'],
    cpu,
  );
  table(
    'Time for a file at one slot, a fresh process for each',
    ['', 'cold', 'warm', 'gain', 'warm-up', 'its memory', 'pays from'],
    gain,
  );
}

if (process.env.BENCH_TOOL === undefined) report();
else await measureTool();
