// Runs very many jobs, to find what happens once in ten thousand: a job that
// hangs, a lost result, or a leak.
//
//   node test/soak/soak.mjs [forkserver jobs] [fork jobs]
//
// Fails when a job has a wrong result or none within a minute, and when
// descriptors, processes or memory have grown at the end.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Jobserver } from 'jobserver';
import { compute, makeGarbage, reverse, useEventLoop } from './jobs.mjs';

const slots = 2;
// For the wait for a slot, and again for the result.
const timeout = 60_000;
const mostGrowth = 32 << 20;

// V8 grows the young generation under load and keeps it; a limit excludes this
// from the measured growth.
const youngSpace = '--max-semi-space-size=4';
const threadless = ['--single-threaded', '--v8-pool-size=1'];
const defaults = { forkserver: 100_000, fork: 20_000 };

/** Returns a function that gives the nth call, as `[fn, args, expected]`. */
function mixOf(context) {
  const expected = new Map();
  const known = (fn, seed) => {
    const key = `${fn.name} ${seed % 50}`;
    if (!expected.has(key)) expected.set(key, fn(seed % 50));
    return [fn, [seed % 50], expected.get(key)];
  };
  const mix = [
    (n) => known(makeGarbage, n),
    (n) => known(compute, n),
    (n) => [reverse, [Buffer.alloc(100_000, n)], Buffer.alloc(100_000, n)],
  ];
  if (context === 'forkserver') mix.push((n) => [useEventLoop, [n], n]);
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

function countFds() {
  return readdirSync('/proc/self/fd').length;
}

/**
 * Counts the descriptors when their number has not changed for a second. On a
 * busy machine, some are opened or closed only a moment after the last result.
 */
async function stableFds() {
  const end = performance.now() + timeout;
  let count = countFds();
  let since = performance.now();
  while (performance.now() < Math.min(since + 1000, end)) {
    await sleep(20);
    const current = countFds();
    if (current !== count) since = performance.now();
    count = current;
  }
  return count;
}

/** Measures what must not grow, while no job runs. */
async function holdings() {
  for (let i = 0; i < 2; i++) {
    globalThis.gc();
    // Finalizers run in a later turn of the event loop.
    await setImmediate();
  }
  const [zygote] = children();
  return {
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

  // The first tenth of the jobs fills caches.
  await runUntil(Math.ceil(count / 10));
  const fdsBefore = await stableFds();
  const before = await holdings();
  for (let part = 2; part <= 10; part++) {
    await runUntil(Math.ceil((count * part) / 10));
    const rate = (1e3 * next) / (performance.now() - start);
    const memory = mib((await holdings()).memory);
    console.log(
      `${context}: ${next} jobs, ${rate.toFixed(0)} a second, ${memory}`,
    );
  }
  const fdsAfter = await stableFds();
  const after = await holdings();
  await js.close();

  console.log(
    `${context}, Node ${process.version}: ${count} jobs, the slowest took ` +
      `${slowest.toFixed(0)} ms; fds ${fdsBefore} -> ${fdsAfter}, ` +
      `memory ${mib(before.memory)} -> ${mib(after.memory)}, ` +
      `of the zygote ${mib(before.zygote)} -> ${mib(after.zygote)}`,
  );
  assert.equal(fdsAfter, fdsBefore);
  assert.ok(after.memory - before.memory < mostGrowth);
  assert.ok(after.zygote - before.zygote < mostGrowth);
  // Only the zygote may remain; spares are children of the zygote.
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
