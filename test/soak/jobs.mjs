// The jobs of the soak test. Their results are known, so wrong ones are found.
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { deflate, inflateSync } from 'node:zlib';

/** Makes garbage for several collections, some of it in the old generation. */
export function makeGarbage(seed) {
  const kept = new Map();
  for (let i = 0; i < 15_000; i++) {
    kept.set(i % 1_500, { i, text: `${seed}-${i}`, pair: [i, seed] });
  }
  return kept.size + seed;
}

/** Runs a loop that V8 optimizes. */
export function compute(seed) {
  let state = seed >>> 0;
  for (let i = 0; i < 300_000; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  }
  return state;
}

/** Uses timers, libuv's thread pool and an import of a new module. */
export async function useEventLoop(seed) {
  await sleep(seed % 3);
  const [text, bytes] = await Promise.all([
    readFile(new URL(import.meta.url), 'utf8'),
    promisify(deflate)(Buffer.alloc(50_000, seed % 256)),
  ]);
  const { parse } = await import('node:querystring');
  const { seed: parsed } = parse(`seed=${seed}`);
  if (!text.startsWith('// The jobs') || inflateSync(bytes).length !== 50_000) {
    throw new Error('The job has read other data');
  }
  return Number(parsed);
}

/** Its argument and its result are larger than a pipe. */
export function reverse(bytes) {
  return bytes.reverse();
}
