// Runs the calls that standard input describes in one pool, and prints how long
// they took and a digest of their results. See apart.mjs.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { open, slots } from './pools.mjs';

const {
  pool: poolName,
  task,
  values,
  perSecond,
} = JSON.parse(readFileSync(0, 'utf8'));

const start = performance.now();
const pool = await open(poolName, task);
const calls = await (perSecond === undefined ? callAtOnce() : callAtRate());
const end = performance.now();
await pool.close();
await childrenHaveEnded();

const figures = {
  wall: end - start,
  first: Math.min(...calls.map((call) => call.end)) - start,
  latencies: calls.map((call) => call.end - call.start),
  digest: digest(calls.map((call) => call.result)),
};
console.log(JSON.stringify(figures));

function callAtOnce() {
  return Promise.all(values.map(timed));
}

async function callAtRate() {
  // Starts the workers, which is no part of a service that runs for long.
  await Promise.all(values.slice(0, slots).map(pool.run));
  const begin = performance.now();
  const running = [];
  for (const [index, value] of values.entries()) {
    const wait = begin + (1000 * index) / perSecond - performance.now();
    if (wait > 0) await sleep(wait);
    running.push(timed(value));
  }
  return Promise.all(running);
}

async function timed(value) {
  const start = performance.now();
  const result = await pool.run(value);
  return { start, end: performance.now(), result };
}

/** Resolves when all children are reaped: only then does their CPU time count. */
async function childrenHaveEnded() {
  const file = `/proc/self/task/${process.pid}/children`;
  const deadline = performance.now() + 10_000;
  while (readFileSync(file, 'utf8') !== '') {
    if (performance.now() > deadline) {
      throw new Error(
        `${poolName} has left children behind when it was closed`,
      );
    }
    await sleep(5);
  }
}

function digest(results) {
  const hash = createHash('sha256');
  for (const result of results) hash.update(bytesOf(result)).update('\0');
  return hash.digest('hex');
}

/** Strings and bytes as they are, and other values as JSON. */
function bytesOf(value) {
  if (typeof value === 'string' || ArrayBuffer.isView(value)) return value;
  if (value instanceof Map) return bytesOf([...value]);
  if (Array.isArray(value)) return digest(value);
  return String(JSON.stringify(value));
}
