// Runs the benchmarks, each in a process of its own.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { commandLine } from '../scripts/command.mjs';
import { machine, threadless } from './measure.mjs';

const all = [
  'start',
  'first',
  'reuse',
  'preload',
  'warm-up',
  'memory',
  'waiting',
  'outstanding',
  'queue',
  'work',
  'service',
  'values',
  'report',
  'controls',
  'vitest',
  'cluster',
];
const flags = {
  memory: ['--expose-gc', ...threadless, '--max-old-space-size=4096'],
  waiting: ['--expose-gc'],
  outstanding: ['--expose-gc'],
  queue: ['--expose-gc'],
  values: ['--expose-gc'],
};

const usage = `
Usage: node bench/run.mjs [NAME …]

Runs all benchmarks, or those that are named: ${all.join(', ')}.
`;
const { positionals } = commandLine(usage, { allowPositionals: true });
const unknown = positionals.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(`No such benchmark: ${unknown.join(', ')}\n${usage}`);
  process.exit(2);
}
const names = positionals.length > 0 ? positionals : all;
// This variable makes every start of Node 20 much slower, which would hide what is
// measured.
const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;

console.log(machine());
for (const name of names) {
  const file = fileURLToPath(new URL(`${name}.mjs`, import.meta.url));
  const args = [...(flags[name] ?? []), file];
  const { status } = spawnSync(process.execPath, args, {
    stdio: 'inherit',
    env,
  });
  if (status !== 0) process.exit(1);
}
