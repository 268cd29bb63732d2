// Very many jobs, to see what one in ten thousand does: hang, get lost, or leave
// something behind.
//
//   node test/soak/soak.mjs [forkserver jobs] [fork jobs]
//
// Fails when a job has another result than it should, or none within a minute,
// and when fds, processes, slots or memory are not what they were at first.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Jobserver } from 'jobserver';
import { carry, collect, compute, wait } from './jobs.mjs';

const slots = 2;
// For a slot, and then for the result.
const timeout = 60_000;
const mostGrowth = 32 << 20;

// V8 makes it larger as long as it sees garbage, and keeps that: no growth of ours.
const youngSpace = '--max-semi-space-size=4';
const threadless = ['--single-threaded', '--v8-pool-size=1'];
const defaults = { forkserver: 100_000, fork: 20_000 };

/** Calls and what they have to give, as `[fn, args, expected]`. */
function mixOf(context) {
  const expected = new Map();
  const known = (fn, seed) => {
    const key = `${fn.name} ${seed % 50}`;
    if (!expected.has(key)) expected.set(key, fn(seed % 50));
    return [fn, [seed % 50], expected.get(key)];
  };
  const mix = [
    (n) => known(collect, n),
    (n) => known(compute, n),
    (n) => [carry, [Buffer.alloc(100_000, n)], Buffer.alloc(100_000, n)],
  ];
  if (context === 'forkserver') mix.push((n) => [wait, [n], n]);
  else mix.push((n) => [() => n, [], n]);
  return (n) => mix[n % mix.length](n);
}

function children() {
  return readFileSync('/proc/thread-self/children', 'utf8')
    .split(' ')
    .filter(Boolean);
}

function rss(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return 1024 * Number(/VmRSS:\s+(\d+)/.exec(status)[1]);
}

/** What may not grow, while no job runs. */
async function holdings() {
  for (let i = 0; i < 2; i++) {
    globalThis.gc();
    // What belongs to dead objects is freed in a later turn.
    await setImmediate();
  }
  const [zygote] = children();
  return {
    fds: readdirSync('/proc/self/fd').length,
    memory: rss('self'),
    zygote: zygote === undefined ? 0 : rss(zygote),
  };
}

const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

async function soak(context, count) {
  const js = new Jobserver({ context, slots });
  const call = mixOf(context);
  const start = performance.now();
  let next = 0;
  let slowest = 0;

  const runOne = async (n) => {
    const [fn, args, expected] = call(n);
    const begin = performance.now();
    const future = await js.submit(fn, args, { timeout });
    const result = await future.result({ timeout });
    slowest = Math.max(slowest, performance.now() - begin);
    assert.deepEqual(
      Buffer.isBuffer(expected) ? Buffer.from(result) : result,
      expected,
    );
  };
  const runUntil = async (end) => {
    const runSome = async () => {
      while (next < end) await runOne(next++);
    };
    // Twice as many as there are slots, so that one always waits for a slot.
    await Promise.all(Array.from({ length: 2 * slots }, runSome));
  };

  // The first tenth fills caches.
  await runUntil(Math.ceil(count / 10));
  const before = await holdings();
  for (let part = 2; part <= 10; part++) {
    await runUntil(Math.ceil((count * part) / 10));
    const rate = (1e3 * next) / (performance.now() - start);
    const memory = mib((await holdings()).memory);
    console.log(
      `${context}: ${next} jobs, ${rate.toFixed(0)} a second, ${memory}`,
    );
  }
  const after = await holdings();
  await js.close();

  console.log(
    `${context}, Node ${process.version}: ${count} jobs, the slowest took ` +
      `${slowest.toFixed(0)} ms; fds ${before.fds} -> ${after.fds}, ` +
      `memory ${mib(before.memory)} -> ${mib(after.memory)}, ` +
      `of the zygote ${mib(before.zygote)} -> ${mib(after.zygote)}`,
  );
  assert.equal(after.fds, before.fds);
  assert.ok(after.memory - before.memory < mostGrowth);
  assert.ok(after.zygote - before.zygote < mostGrowth);
  // The zygote alone may be there, with its spares below it.
  assert.ok(children().length <= 1);
}

const [first = String(defaults.forkserver), second = String(defaults.fork)] =
  process.argv.slice(2);
if (first in defaults) {
  await soak(first, Number(second));
} else {
  const counts = { forkserver: first, fork: second };
  for (const [context, count] of Object.entries(counts)) {
    const flags = ['--expose-gc', youngSpace];
    if (context === 'fork') flags.push(...threadless);
    const self = fileURLToPath(import.meta.url);
    const args = [...flags, self, context, count];
    const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
    if (status !== 0) process.exitCode = 1;
  }
}
