// Math.random for forked processes. V8's generator would give all forks of one
// process the same numbers, and reseeding it by a V8 flag costs milliseconds.
// This generator reads a seed from the kernel at its first call in a process. The
// algorithm is xoshiro128** 1.1 by D. Blackman and S. Vigna
// (https://prng.di.unimi.it); its numbers have 53 bits.
import { closeSync, openSync, readSync } from 'node:fs';

const state = new Uint32Array(4);
let isSeeded = false;

/** Replaces V8's generator in this process and those forked from it. */
export function replaceMathRandom(): void {
  Math.random = function random(): number {
    if (!isSeeded) seed();
    return ((next() >>> 5) * 2 ** 26 + (next() >>> 6)) / 2 ** 53;
  };
}

/** In a fork: the next number comes from a new seed. */
export function forgetSeed(): void {
  isSeeded = false;
}

function seed(): void {
  const random = openSync('/dev/urandom', 'r');
  readSync(random, state);
  closeSync(random);
  // A state of zeros would give zeros for ever.
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
