// All benchmarks, each in a process of its own: node bench/run.mjs [name …]
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { machine } from './measure.mjs';

const all = ['start', 'preload', 'memory', 'waiting', 'outstanding', 'queue'];
// Single-threaded, so that the fork context can be measured as well.
const threadless = ['--single-threaded', '--v8-pool-size=1'];
const flags = {
  start: threadless,
  memory: [...threadless, '--max-old-space-size=4096'],
};

const names = process.argv.length > 2 ? process.argv.slice(2) : all;
// It makes every start of Node 20 slower by far, and so hides what is measured.
const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;

console.log(machine());
for (const name of names) {
  const file = fileURLToPath(new URL(`${name}.mjs`, import.meta.url));
  const args = ['--expose-gc', ...(flags[name] ?? []), file];
  const { status } = spawnSync(process.execPath, args, {
    stdio: 'inherit',
    env,
  });
  if (status !== 0) process.exit(1);
}
