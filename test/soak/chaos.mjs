// Kills workers, zygotes and submitters at random while calls of every kind run
// through handles of every kind, under one job server of make.
//
//   node test/soak/chaos.mjs [--seconds=30] [--seed=N]
//
// Fails when memory that was sent is left in this process, or a file in /dev/shm. Each
// round ends with the end of all other processes. Fails when a call does not settle, a job begins twice, a value is wrong, more
// jobs are lost than processes were killed, or descriptors or processes are left.
// Also when other slots are lost than those which docs/design.md allows: each
// submitter keeps a ledger of its tokens, which names them. The message of a failure names the seed,
// with which the next run begins with the round that has failed; its timing will
// differ.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  kill,
  mark,
  openFds,
  processes,
  sentMemory,
} from './chaos/processes.mjs';
import { Random } from './chaos/random.mjs';
import { Round } from './chaos/round.mjs';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Date.now() % 1e6) },
  },
});

if (!(values.seconds > 0 && values.seed >= 0)) {
  throw new Error('--seconds and --seed have to be numbers');
}

const kinds = {
  workers: {
    victims: ['worker', 'worker', 'worker', 'zygote'],
    submitters: 0,
  },
  // The trustees are not killed.
  nesting: {
    victims: ['worker', 'worker', 'worker', 'zygote'],
    submitters: 1,
    canNest: true,
  },
  // No worker ends with its submitter, so no slot is lost in a worker.
  submitters: {
    victims: ['submitter'],
    isGentle: true,
    submitters: 2,
    width: 2,
    ms: 8000,
  },
  make: {
    victims: ['worker', 'submitter'],
    isUnderMake: true,
    width: 2,
    ms: 8000,
  },
  all: {
    victims: ['worker', 'worker', 'worker', 'zygote', 'submitter'],
    submitters: 2,
    width: 4,
    ms: 8000,
    canNest: true,
    losesAny: true,
  },
};

const [name, value] = mark.split('=');
process.env[name] = value;

/** Those that are open when their number has not changed for some time. */
async function stableFds() {
  let fds = openFds();
  for (let i = 0; i < 100; i++) {
    await sleep(20);
    const now = openFds();
    if (now.length !== fds.length) i = 0;
    fds = now;
  }
  return fds;
}

const collect = (() => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc');
})();

/** What is left once all that was received has been collected. */
async function leftMemory() {
  for (let i = 0; i < 200 && sentMemory().length > 0; i++) {
    collect();
    await sleep(20);
  }
  return sentMemory();
}

const namedMemory = () =>
  existsSync('/dev/shm') ? readdirSync('/dev/shm').sort() : [];

async function runRound(number) {
  const seed = Number(values.seed) + number;
  const names = Object.keys(kinds);
  const kindName = names[seed % names.length];
  const random = new Random(seed);
  const folder = mkdtempSync(join(tmpdir(), 'chaos-'));
  const kind = { ms: 5000, width: 6, ...kinds[kindName] };
  const start = performance.now();
  try {
    const told = await new Round({ random, folder, seed, kind }).run();
    const seconds = ((performance.now() - start) / 1e3).toFixed(1);
    console.log(
      `seed ${seed}, ${kindName}: ${seconds} s, ${JSON.stringify(told)}`,
    );
  } catch (error) {
    const message = `seed ${seed}, ${kindName}: ${error.message}`;
    throw new Error(message, { cause: error });
  } finally {
    for (const { pid } of processes()) kill(pid);
    rmSync(folder, { recursive: true });
  }
}

// The first start of a child opens descriptors for the whole process.
await once(spawn('true', { stdio: ['ignore', 'pipe', 'inherit'] }), 'exit');
const end = performance.now() + 1000 * Number(values.seconds);
console.log(`chaos: seed ${values.seed}, Node ${process.version}`);
const seed = Number(values.seed);
const named = namedMemory();
let fds;
for (let number = 0; performance.now() < end; number++) {
  await runRound(number);
  assert.deepEqual(await leftMemory(), [], `seed ${seed + number}: memory`);
  const now = await stableFds();
  fds ??= now;
  assert.deepEqual(now, fds, `seed ${seed + number}: open fds`);
}
assert.deepEqual(namedMemory(), named, 'files in /dev/shm');
