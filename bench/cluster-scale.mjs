// How much does a large cluster ask of one Redis: what do pending jobs take of its
// memory, idle hosts and jobs of its CPU, and when is it noticed that a host has died?
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { LostResult } from 'jobserver';
import { ClusterExecutor } from 'jobserver/bullmq';
import { commandLine } from '../scripts/command.mjs';
import { Redis, hasRedis, noRedis } from '../scripts/redis.mjs';
import { hang, noop } from './cluster-jobs.mjs';
import { machine, table } from './measure.mjs';

const usage = `
Usage: node bench/cluster-scale.mjs [--hosts=N] [--pending=N] [--seconds=N]
                                    [--lease=MS]

Measures one Redis with many hosts, which are light ones in one process with two slots,
and with many pending jobs. Needs Linux and redis-server.

  --hosts=N    by default 200
  --pending=N  by default 100000
  --seconds=N  for how long hosts are idle, and then run jobs, by default 20
  --lease=MS   of the hosts, by default 15000 as that of the library
`;
const { values } = commandLine(usage, {
  options: {
    hosts: { type: 'string', default: '200' },
    pending: { type: 'string', default: '100000' },
    seconds: { type: 'string', default: '20' },
    lease: { type: 'string', default: '15000' },
  },
});
const [hostCount, pending, seconds, leaseMs] = [
  ...['hosts', 'pending', 'seconds', 'lease'],
].map((name) => Number(values[name]));
if (!(hostCount >= 1 && pending >= 1 && seconds >= 1 && leaseMs >= 100)) {
  console.error(`A number is missing or too small\n${usage}`);
  process.exit(2);
}
if (!hasRedis()) {
  console.log(noRedis);
  process.exit(0);
}

const root = fileURLToPath(new URL('.', import.meta.url));
const program = fileURLToPath(new URL('cluster-hosts.mjs', import.meta.url));
const processes = [];
const rows = [];
const say = (what, value) => {
  rows.push([what, value]);
  console.error(`${what}: ${value}`);
};

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

async function startHosts(redis, count) {
  const args = [program, redis.url, root, String(count), String(leaseMs)];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  processes.push(child);
  await once(child.stdout, 'data');
  return child;
}

/** Milliseconds of CPU that Redis has used. */
function cpuOf(redis) {
  const stat = readFileSync(`/proc/${redis.pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

const memoryOf = async (redis) => Number(await redis.info('used_memory'));

/** Calls `action`, and resolves with how long it took, and the CPU time of Redis. */
async function measured(redis, action) {
  const [start, cpu] = [performance.now(), cpuOf(redis)];
  await action();
  return { ms: performance.now() - start, cpu: cpuOf(redis) - cpu };
}

async function fill(redis, executor) {
  collect();
  const [before, heap] = [
    await memoryOf(redis),
    process.memoryUsage().heapUsed,
  ];
  const all = [];
  const { ms, cpu } = await measured(redis, async () => {
    for (let i = 0; i < pending; i++) all.push(executor.submit(noop));
    await arrived(redis, pending);
  });
  collect();
  const bytes = ((await memoryOf(redis)) - before) / pending;
  const own = (process.memoryUsage().heapUsed - heap) / pending;
  say('jobs submitted a second', Math.round((1e3 * pending) / ms));
  say('CPU of Redis for a submit', `${((1e3 * cpu) / pending).toFixed(0)} µs`);
  say('memory of Redis for a pending job', `${Math.round(bytes)} bytes`);
  say('heap of the submitter for one', `${Math.round(own)} bytes`);
  for (const promise of all) promise.catch(() => undefined);
}

/** The queue has them when its sets and lists have so many members in all. */
async function arrived(redis, count) {
  const script =
    "return tostring(redis.call('ZCARD', 'bull:jobserver:prioritized') + " +
    "redis.call('LLEN', 'bull:jobserver:wait'))";
  for (;;) {
    const reply = await redis.command('EVAL', script, '0');
    if (Number(reply.split('\r\n')[1]) >= count) return;
    await sleep(20);
  }
}

async function run(redis, executor) {
  const before = executor.completed;
  const { ms, cpu } = await measured(redis, () => sleep(1e3 * seconds));
  const done = executor.completed - before;
  say('jobs a second, in two slots', Math.round((1e3 * done) / ms));
  say('CPU of Redis for a job', `${((1e3 * cpu) / done).toFixed(0)} µs`);
  say('of one CPU', `${((100 * cpu) / ms).toFixed(0)} %`);
}

async function killOne(victim, job) {
  const start = performance.now();
  victim.kill('SIGKILL');
  const error = await job.catch((reason) => reason);
  if (!(error instanceof LostResult)) throw error;
  const ms = performance.now() - start;
  say('until the death of a host is noticed', `${(ms / 1e3).toFixed(1)} s`);
}

const redis = await Redis.start();
try {
  console.log(machine());
  const empty = await memoryOf(redis);
  const executor = new ClusterExecutor({
    connection: redis.url,
    root,
    leaseMs,
  });
  const victim = await startHosts(redis, 1);
  const job = executor.submit(hang);
  while (job.state === 'pending') await sleep(10);
  const before = Number(await redis.info('connected_clients'));
  // The one that runs takes no other job, because it fills both slots.
  const other = executor.submit(hang);
  while (other.state === 'pending') await sleep(10);
  await fill(redis, executor);

  const connections = { before };
  const { ms } = await measured(redis, () => startHosts(redis, hostCount - 1));
  connections.after = Number(await redis.info('connected_clients'));
  const each = (connections.after - before) / (hostCount - 1);
  say('connections of a host', each.toFixed(1));
  say('start of all hosts', `${(ms / 1e3).toFixed(1)} s`);
  await run(redis, executor);
  await killOne(victim, job);
  await other.catch(() => undefined);

  const end = await measured(redis, () =>
    executor.shutdown({ cancelFutures: true }),
  );
  say('cancelling the others', `${(end.ms / 1e3).toFixed(1)} s`);
  const idle = await measured(redis, () => sleep(1e3 * seconds));
  const share = (100 * idle.cpu) / idle.ms;
  say('CPU of Redis with idle hosts', `${share.toFixed(1)} % of one`);
  const left = ((await memoryOf(redis)) - empty) / 2 ** 20;
  say(
    'memory of Redis at the end, above that of an empty one',
    `${left.toFixed(1)} MiB`,
  );
  table(
    `${hostCount} hosts, ${pending} pending jobs`,
    ['what', 'measured'],
    rows,
  );
} finally {
  for (const child of processes) child.kill('SIGKILL');
  await redis.stop();
}
