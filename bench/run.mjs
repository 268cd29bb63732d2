// All benchmarks, each in a process of its own: node bench/run.mjs [name …]
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { machine, threadless } from './measure.mjs';

const all = ['start', 'preload', 'memory', 'waiting', 'outstanding', 'queue'];
const flags = {
  memory: ['--expose-gc', ...threadless, '--max-old-space-size=4096'],
  waiting: ['--expose-gc'],
  outstanding: ['--expose-gc'],
  queue: ['--expose-gc'],
};

const names = process.argv.length > 2 ? process.argv.slice(2) : all;
// It makes every start of Node 20 slower by far, and so hides what is measured.
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
