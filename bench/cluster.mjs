// What does a queue in Redis add to a job, compared with jobs of this machine and with
// the workers of BullMQ alone? And when is it noticed that a host has died?
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Queue, QueueEvents } from 'bullmq';
import { Jobserver, JobserverExecutor, LostResult } from 'jobserver';
import { ClusterExecutor } from 'jobserver/bullmq';
import { commandLine, root } from '../scripts/command.mjs';
import { Redis, hasRedis, noRedis } from '../scripts/redis.mjs';
import { burn, bytesOf, hang, lengthOf, noop } from './cluster-jobs.mjs';
import { median, table, timesInTurn } from './measure.mjs';

const usage = `
Usage: node bench/cluster.mjs [--rounds=N] [--jobs=N] [--deaths=N]

Measures jobs of a cluster with one host of two slots on this machine. Needs Linux and
redis-server.

  --rounds=N  how many times everything is measured, by default 5
  --jobs=N    how many jobs that do nothing, by default 500
  --deaths=N  how many hosts are killed, by default 5
`;
const { values } = commandLine(usage, {
  options: {
    rounds: { type: 'string', default: '5' },
    jobs: { type: 'string', default: '500' },
    deaths: { type: 'string', default: '5' },
  },
});
const [rounds, jobCount, deaths] = ['rounds', 'jobs', 'deaths'].map((name) =>
  Number(values[name]),
);
if (!(rounds >= 1 && jobCount >= 1 && deaths >= 1)) {
  console.error(`A number is missing or too small\n${usage}`);
  process.exit(2);
}
if (!hasRedis()) {
  console.log(noRedis);
  process.exit(0);
}

const jobs = { burn, bytesOf, hang, lengthOf, noop };
const [slots, burnMs, burns, size] = [2, 50, 40, 64 << 20];
const here = fileURLToPath(new URL('.', import.meta.url));
const main = join(root, 'dist', 'cli', 'main.js');
const children = [];
const ticksPerMs = 100 / 1000;

/** A process whose standard error shows when it is ready, or else is ours. */
async function startNode(args, ready) {
  const stdio = ['ignore', 'ignore', ready === undefined ? 'inherit' : 'pipe'];
  const child = spawn(process.execPath, args, { stdio });
  children.push(child);
  if (ready === undefined) return child;
  child.stderr.setEncoding('utf8');
  let text = '';
  while (!text.includes(ready)) {
    const [more] = await once(child.stderr, 'data');
    text += more;
  }
  child.stderr.resume();
  return child;
}

function startHost(redis, queue, ...args) {
  const where = ['--root', here, '--queue', queue, `--slots=${slots}`];
  const all = [main, 'worker', ...where, ...args, redis.url];
  return startNode(all, 'takes jobs');
}

async function openOurs(redis, queue, ...args) {
  const host = await startHost(redis, queue, ...args);
  const executor = new ClusterExecutor({
    connection: redis.url,
    root: here,
    queue,
  });
  return {
    pid: host.pid,
    call: (name, arg) => executor.submit(jobs[name], arg),
    close: () => executor.shutdown(),
  };
}

function openLocal(jobsPerProcess) {
  const jobserver = new Jobserver({ slots, jobsPerProcess });
  const executor = new JobserverExecutor(jobserver);
  return {
    call: (name, arg) => executor.submit(jobs[name], arg),
    close: async () => {
      await executor.shutdown();
      await jobserver.close();
    },
  };
}

async function openBare(redis, kind) {
  const { port } = redis;
  const peer = join(here, 'cluster-peer.mjs');
  const child = await startNode([peer, String(port), kind, kind]);
  const connection = { host: '127.0.0.1', port };
  const queue = new Queue(kind, { connection });
  const events = new QueueEvents(kind, { connection });
  // One that is removed at once may be gone before it is waited for.
  const options = { removeOnComplete: 1000, removeOnFail: 1000 };
  // One listener waits for each outstanding job.
  events.setMaxListeners(0);
  queue.setMaxListeners(0);
  await events.waitUntilReady();
  return {
    pid: child.pid,
    call: async (name, arg) => {
      const data = arg instanceof Uint8Array ? arg.toString('base64') : arg;
      const job = await queue.add(name, data ?? null, options);
      const value = await job.waitUntilFinished(events);
      // Redis would keep the values of the last jobs in its memory.
      if (name.endsWith('Of')) await job.remove();
      return typeof value === 'string' ? Buffer.from(value, 'base64') : value;
    },
    close: async () => {
      await events.close();
      await queue.close();
    },
  };
}

/**
 * Milliseconds of CPU that this process, the host of a party, Redis, and all others
 * below this process have used.
 */
function cpuOf(host) {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => statOf(name) ?? []);
  const wanted = new Set([process.pid]);
  // A child may be listed before its parent.
  for (let size = -1; size !== wanted.size;) {
    size = wanted.size;
    for (const { pid, parent } of all) if (wanted.has(parent)) wanted.add(pid);
  }
  const named = [process.pid, host, redis.pid];
  const times = [0, 0, 0, 0];
  for (const { pid, ticks } of all.filter((each) => wanted.has(each.pid))) {
    const i = named.indexOf(pid);
    times[i < 0 ? named.length : i] += ticks / ticksPerMs;
  }
  return times;
}

function statOf(pid) {
  let text;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, n) => sum + Number(n), 0);
  return { pid: Number(pid), parent: Number(fields[1]), ticks };
}

async function measure(parties) {
  const cpu = {};
  const each = (run) =>
    Object.fromEntries(
      Object.entries(parties).map(([name, party]) => [
        name,
        () => run(party, name),
      ]),
    );
  const many = async ({ call, pid }, name) => {
    const before = cpuOf(pid);
    const all = Array.from({ length: jobCount }, () => call('noop'));
    await Promise.all(all);
    const used = cpuOf(pid).map((ms, i) => (ms - before[i]) / jobCount);
    (cpu[name] ??= []).push(used);
  };
  const lone = await timesInTurn(
    20 * rounds,
    each(({ call }) => call('noop')),
  );
  const noops = await timesInTurn(rounds, each(many));
  const burnt = await timesInTurn(
    rounds,
    each(({ call }) =>
      Promise.all(Array.from({ length: burns }, () => call('burn', burnMs))),
    ),
  );
  const big = Buffer.alloc(size, 1);
  const sent = await timesInTurn(
    rounds,
    each(({ call }) => call('lengthOf', big)),
  );
  const received = await timesInTurn(
    rounds,
    each(({ call }) => call('bytesOf', size)),
  );
  return { lone, noops, cpu, burnt, sent, received };
}

const sumOf = (numbers) => numbers.reduce((sum, n) => sum + n, 0);

function report({ lone, noops, cpu, burnt, sent, received }) {
  const ms = (times) =>
    `${median(times).toFixed(median(times) < 10 ? 1 : 0)} ms`;
  const ideal = (burns * burnMs) / slots;
  const rows = Object.keys(lone).map((name) => [
    name,
    ms(lone[name]),
    Math.round((1e3 * jobCount) / median(noops[name])).toString(),
    `${median(cpu[name].map(sumOf)).toFixed(2)} ms`,
    `${((100 * ideal) / median(burnt[name])).toFixed(0)} %`,
    ms(sent[name]),
    ms(received[name]),
  ]);
  table(
    'Jobs in two slots',
    [
      'who runs them',
      'a lone no-op',
      'no-ops a second',
      'CPU of a no-op, all processes',
      `of ideal, ${burnMs} ms of CPU each`,
      '64 MiB there',
      '64 MiB back',
    ],
    rows,
  );
  table(
    'CPU of a no-op',
    ['who runs them', 'the program', 'the host', 'Redis', 'all others'],
    Object.entries(cpu).map(([name, all]) => [
      name,
      ...all[0].map((_, i) => {
        const times = all.map((each) => each[i]);
        return `${median(times).toFixed(2)} ms`;
      }),
    ]),
  );
}

/** Milliseconds from the death of a host to its LostResult. */
async function timeOfDeath(redis, leaseMs) {
  const queue = 'deaths';
  const lease = ['--lease', String(leaseMs)];
  const host = await startHost(redis, queue, ...lease);
  const options = { connection: redis.url, root: here, queue, leaseMs };
  const executor = new ClusterExecutor(options);
  const job = executor.submit(jobs.hang);
  while (job.state === 'pending') await sleep(10);
  // At any time of the lease.
  await sleep(leaseMs * Math.random());
  const start = performance.now();
  host.kill('SIGKILL');
  const error = await job.catch((reason) => reason);
  const elapsed = performance.now() - start;
  if (!(error instanceof LostResult)) throw error;
  await executor.shutdown();
  return elapsed;
}

const redis = await Redis.start();
try {
  const parties = {
    'this machine, a process each': openLocal(1),
    'this machine, processes re-used': openLocal(Infinity),
    'BullMQ alone, in process': await openBare(redis, 'inProcess'),
    'BullMQ alone, sandboxed': await openBare(redis, 'sandboxed'),
    'cluster, a process each': await openOurs(redis, 'fresh'),
    'cluster, processes re-used': await openOurs(
      ...[redis, 'reused', '--jobs-per-process=Infinity'],
    ),
  };
  report(await measure(parties));
  for (const party of Object.values(parties)) await party.close();

  const leaseMs = 1000;
  const times = [];
  for (let i = 0; i < deaths; i++)
    times.push(await timeOfDeath(redis, leaseMs));
  const range = [Math.min(...times), median(times), Math.max(...times)];
  console.log(
    `\nWith a lease of ${leaseMs} ms, a killed host is noticed after ` +
      `${range.map((t) => t.toFixed(0)).join(', ')} ms (least, median, most).`,
  );
} finally {
  for (const child of children) child.kill('SIGKILL');
  await redis.stop();
}
