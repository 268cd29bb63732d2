// What a soak mixes. Each job knows its result, so that a wrong one shows.
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { deflate, inflateSync } from 'node:zlib';

/** Garbage enough for several collections, some of it old by then. */
export function collect(seed) {
  const kept = new Map();
  for (let i = 0; i < 15_000; i++) {
    kept.set(i % 1_500, { i, text: `${seed}-${i}`, pair: [i, seed] });
  }
  return kept.size + seed;
}

/** Hot enough to be compiled by the optimizing compiler. */
export function compute(seed) {
  let state = seed >>> 0;
  for (let i = 0; i < 300_000; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  }
  return state;
}

/** Timers, libuv's thread pool and an import that no preload has made. */
export async function wait(seed) {
  await sleep(seed % 3);
  const [text, bytes] = await Promise.all([
    readFile(new URL(import.meta.url), 'utf8'),
    promisify(deflate)(Buffer.alloc(50_000, seed % 256)),
  ]);
  const { parse } = await import('node:querystring');
  const { seed: parsed } = parse(`seed=${seed}`);
  if (!text.startsWith('// What') || inflateSync(bytes).length !== 50_000) {
    throw new Error('The job has read something else');
  }
  return Number(parsed);
}

/** More than a pipe holds, both ways. */
export function carry(bytes) {
  return bytes.reverse();
}
