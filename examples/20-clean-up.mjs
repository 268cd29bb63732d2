// A time limit for jobs that have something to clean up: a scratch folder, and a
// program that they have started. `jobSignal` lets a job clean up before it is killed;
// `processGroup` ends its programs with it, also if it does not clean up at all.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Jobserver, isWorker, jobSignal } from 'jobserver';

const self = fileURLToPath(import.meta.url);

/** Runs a program in a scratch folder that it removes in any case. */
export async function convert(folder, name) {
  const scratch = join(folder, name);
  mkdirSync(scratch);
  try {
    // Standard output is that of this program, so `allOutput` sees its end.
    const program = spawn(process.execPath, [self, 'convert'], {
      cwd: scratch,
      stdio: ['ignore', 'inherit', 'inherit'],
      signal: jobSignal(),
    });
    await once(program, 'close');
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

/** Searches without a turn of the event loop, so it asks for its signal. */
export function search(folder, name) {
  const scratch = join(folder, name);
  mkdirSync(scratch);
  let steps = 0;
  while (!jobSignal().aborted) steps += 1;
  rmSync(scratch, { recursive: true });
  return steps;
}

/** Starts a program, and takes no notice of its end. */
export function forget() {
  spawn(process.execPath, [self, 'convert'], { stdio: 'inherit' }).unref();
  return 'done';
}

async function runLimited(folder) {
  const jobserver = new Jobserver({ slots: 3 });
  const limited = jobserver.with({
    runTimeout: 1500,
    killGrace: 10_000,
    processGroup: true,
  });
  const outcomes = await Promise.allSettled([
    limited.run(convert, folder, 'a'),
    limited.run(search, folder, 'b'),
    limited.run(forget),
  ]);
  await jobserver.close();
  console.log(
    outcomes.map(({ reason, value }) => reason?.name ?? value).join(),
  );
}

// Starts this program again. Its output ends when none of its processes is left.
async function allOutput(folder) {
  const program = spawn(process.execPath, [self, 'main', folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 60_000,
  });
  let text = '';
  for await (const chunk of program.stdout) text += chunk;
  return text.trim().split('\n').at(-1);
}

const [mode, given] = process.argv.slice(2);
if (isWorker) {
  // This process only runs one of the jobs.
} else if (mode === 'convert') {
  setTimeout(() => {}, 600_000);
} else if (mode === 'main') {
  await runLimited(given);
} else {
  const folder = mkdtempSync(join(tmpdir(), 'jobserver-'));
  try {
    assert.equal(await allOutput(folder), 'TimeoutError,TimeoutError,done');
    assert.deepEqual(readdirSync(folder), []);
  } finally {
    rmSync(folder, { recursive: true });
  }
  console.log('The jobs cleaned up in time, and no program of theirs is left.');
}
