// What the workers of values.mjs run.
import { readFileSync } from 'node:fs';
import { move } from 'jobserver';

export function echo(value) {
  return value;
}

export function moveBack(value) {
  return move(value);
}

export async function transferBack(value) {
  const { default: Piscina } = await import('piscina');
  return Piscina.move(value);
}

/**
 * Reads each page of a table, or nothing. Returns a sum, and how many bytes of
 * memory this process has for itself, and of page tables.
 */
export function readPages(bytes) {
  let sum = 0;
  for (let i = 0; i < (bytes?.length ?? 0); i += 4096) sum += bytes[i];
  const rollup = readFileSync('/proc/self/smaps_rollup', 'utf8');
  const status = readFileSync('/proc/self/status', 'utf8');
  const own = sizeIn(rollup, 'Private_Clean') + sizeIn(rollup, 'Private_Dirty');
  return [sum, own, sizeIn(status, 'VmPTE')];
}

function sizeIn(text, name) {
  return 1024 * Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)[1]);
}
