// What does a warm-up gain? Each tool works on files, each file in a fresh process:
// forked from a process that has the tool loaded, and from one that has used it
// before. One process that works on all of them again and again is the floor. Then the
// same files in chunks, beside the threads of a peer that have seen all of them before.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Jobserver } from 'jobserver';
import { table } from './measure.mjs';
import { open, slots } from './pools.mjs';
import { files, toolNames, warmUp, work } from './tools.mjs';

const own = fileURLToPath(import.meta.url);
const module = new URL('tools.mjs', import.meta.url).href;
const preload = [fileURLToPath(module)];
const peers = ['piscina', 'tinypool, threads'];
const msPerTick = 10;
const kibPerMib = 1024;
const rounds = 2;
const steady = { warmUp, warmUpTimeout: 120_000 };

/** The CPU time of a process and its children that have ended. */
function cpuOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).map(Number);
  return ticks.reduce((sum, each) => sum + each) * msPerTick;
}

/** Of this process, its threads and its children, which may go on. */
function cpuOfAll() {
  const path = `/proc/self/task/${process.pid}/children`;
  const children = readFileSync(path, 'utf8').trim().split(' ').filter(Boolean);
  return [process.pid, ...children].reduce((sum, pid) => sum + cpuOf(pid), 0);
}

function memoryOf(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(text.match(/^Pss: +(\d+)/m)[1]) / kibPerMib;
}

/** At one slot. With a `chunkSize`, each job works on several files. */
async function measure(options, passes, chunkSize) {
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
  const { zygote } = await jobserver.run(work, files[0]);
  const before = cpuOf(zygote) + cpuOf(process.pid);
  const start = performance.now();
  for (let pass = 0; pass < passes; pass++) {
    if (chunkSize === undefined) {
      for (const path of files) all.push(await jobserver.run(work, path));
    } else {
      const results = jobserver.map(work, files, { chunkSize });
      for await (const each of results) all.push(each);
    }
  }
  const count = all.length;
  const wall = (performance.now() - start) / count;
  const total = (cpuOf(zygote) + cpuOf(process.pid) - before) / count;
  const last = all.slice(-files.length);
  const memory = memoryOf(zygote);
  await jobserver.close();
  const mean = (field) =>
    last.reduce((sum, each) => sum + each[field], 0) / last.length;
  return { readyMs, wall, total, job: mean('cpu'), memory };
}

/** For a file, of several passes: each pool makes one in turn. */
async function measurePasses(pools) {
  const best = pools.map(() => ({ wall: Infinity, total: Infinity }));
  // The first pass of each is not counted.
  for (let round = 0; round <= rounds; round++) {
    for (const [i, { pass }] of pools.entries()) {
      const [before, start] = [cpuOfAll(), performance.now()];
      await pass();
      const wall = (performance.now() - start) / files.length;
      const total = (cpuOfAll() - before) / files.length;
      if (round > 0 && wall < best[i].wall) best[i] = { wall, total };
    }
  }
  return best;
}

async function openPeer(name) {
  const pool = await open(name, { module, name: 'work' });
  return {
    pass: () => Promise.all(files.map((path) => pool.run(path))),
    close: () => pool.close(),
  };
}

async function openChunks() {
  const jobserver = new Jobserver({
    slots,
    preload,
    ...steady,
    forkserverKeepAlive: 0,
  });
  await jobserver.ready();
  return {
    pass: async () => {
      const results = jobserver.map(work, files, { chunkSize: 'auto' });
      for await (const each of results) if (each === undefined) break;
    },
    close: () => jobserver.close(),
  };
}

async function measureTool() {
  const serial = await measure({ jobsPerProcess: Infinity }, 3);
  const cold = await measure({}, 1);
  const warm = await measure(steady, 1);
  const chunks = await measure(steady, 2, 'auto');
  const pools = [
    await openChunks(),
    ...(await Promise.all(peers.map(openPeer))),
  ];
  const [ours, ...others] = await measurePasses(pools);
  for (const pool of pools) await pool.close();
  console.log(JSON.stringify({ serial, cold, warm, chunks, ours, others }));
}

const ms = (value) => `${value.toFixed(1)} ms`;
const times = (value) => `${value.toFixed(2)} ×`;

function report() {
  const cpu = [];
  const gain = [];
  const chunked = [];
  for (const tool of toolNames) {
    const { stdout, status } = spawnSync(process.execPath, [own], {
      env: { ...process.env, BENCH_TOOL: tool },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (status !== 0) process.exit(1);
    const { serial, cold, warm, chunks, ours, others } = JSON.parse(stdout);
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
    const best = others.reduce((a, b) => (a.wall < b.wall ? a : b));
    chunked.push([
      tool,
      ratio(chunks.job, serial.job),
      ratio(chunks.total, serial.job),
      ...[ours, best].map(({ wall, total }) => `${ms(wall)}, ${ms(total)}`),
      peers[others.indexOf(best)],
      ratio(ours.wall, best.wall),
    ]);
  }
  table(
    `CPU for a file of ${files.length}: one process, and a fresh one for each`,
    ['', 'one', 'cold job', 'warm job', 'all, cold', 'all, warm'],
    cpu,
  );
  table(
    'Time for a file at one slot, a fresh process for each',
    ['', 'cold', 'warm', 'gain', 'warm-up', 'its memory', 'pays from'],
    gain,
  );
  table(
    `In chunks: CPU at one slot; then time for a file and CPU at ${slots} slots`,
    ['', 'job', 'all', "'auto'", 'best peer', 'which', 'ratio'],
    chunked,
  );
}

if (process.env.BENCH_TOOL === undefined) report();
else await measureTool();
