// Random numbers in forked processes: they must not be those of a sibling. V8's
// Math.random would give all forks of one process the same numbers, and to
// reseed it by a V8 flag takes milliseconds. The generator here reads a seed
// from the kernel at its first call in a process. The algorithm is
// xoshiro128** 1.1 by D. Blackman and S. Vigna (https://prng.di.unimi.it); its
// numbers have 53 bits.
import { constants, readSync } from 'node:fs';
import { openFile } from '../system/fd.js';
import { isLoaded } from '../system/builtins.js';

const state = new Uint32Array(4);
let isSeeded = false;

/** Replaces V8's generator in this process and those forked from it. */
export function replaceMathRandom(): void {
  Math.random = random;
}

export function random(): number {
  if (!isSeeded) seed();
  return ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
}

/** In a fork: discards the seed, and the numbers that Node has cached. */
export function renewRandomness(): void {
  isSeeded = false;
  if (!isLoaded('internal/crypto/random')) return;
  const { randomInt, randomUUID } = require('node:crypto') as Crypto;
  // Empties the caches; this process refills them with numbers of its own.
  for (let i = 0; i < cachedUuids; i++) randomUUID();
  for (let i = 0; i < cachedInts; i++) randomInt(2);
}

type Crypto = typeof import('node:crypto');

// lib/internal/crypto/random.js of Node: kBatchSize, and randomCache with six
// bytes for each integer.
const cachedUuids = 128;
const cachedInts = 1024;

function seed(): void {
  const random = openFile('/dev/urandom', constants.O_RDONLY);
  readSync(random.number, state);
  random.close();
  // A state of zeros would give zeros forever.
  state[0]! |= 1;
  isSeeded = true;
}

function next(): number {
  const b = state[1]!;
  const result = Math.imul(rotate(Math.imul(b, 5), 7), 9);
  state[2]! ^= state[0]!;
  state[3]! ^= b;
  state[1]! ^= state[2]!;
  state[0]! ^= state[3]!;
  state[2]! ^= b << 9;
  state[3] = rotate(state[3]!, 11);
  return result;
}

function rotate(bits: number, by: number): number {
  return (bits << by) | (bits >>> (32 - by));
}
