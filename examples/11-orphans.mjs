// What happens to a job when the process that submitted it is killed. By
// default the job is ended too; with `orphanSignal: null` it goes on and
// finishes. This program starts itself again as the parent that is killed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Jobserver, isWorker } from 'jobserver';

export async function waitForFile(path) {
  console.log('started');
  while (!existsSync(path)) await sleep(5);
  console.log('finished');
}

// Returns what the job printed. The job shares its parent's stdout, a pipe that
// ends when no process is left that could write to it.
async function killParent(mode, path, afterwards = () => {}) {
  const argv = [fileURLToPath(import.meta.url), mode, path];
  const parent = spawn(process.execPath, argv, {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 10_000,
  });
  const exited = once(parent, 'exit');
  const printed = [];
  for await (const line of createInterface({ input: parent.stdout })) {
    printed.push(line);
    if (line !== 'started') continue;
    parent.kill('SIGKILL');
    assert.deepEqual(await exited, [null, 'SIGKILL']);
    afterwards();
  }
  return printed;
}

const [mode, path] = process.argv.slice(2);
if (isWorker) {
  // This process only runs waitForFile.
} else if (process.platform !== 'linux') {
  console.log('Skipped: only Linux signals a job whose submitter has died.');
} else if (mode !== undefined) {
  const orphanSignal = mode === 'end-orphans' ? 'SIGTERM' : null;
  const jobserver = new Jobserver({ slots: 1, orphanSignal });
  await jobserver.run(waitForFile, path);
} else {
  const folder = mkdtempSync(join(tmpdir(), 'jobserver-'));
  try {
    const never = join(folder, 'never');
    assert.deepEqual(await killParent('end-orphans', never), ['started']);

    const go = join(folder, 'go');
    const printed = await killParent('leave-orphans', go, () => {
      writeFileSync(go, '');
    });
    assert.deepEqual(printed, ['started', 'finished']);
  } finally {
    rmSync(folder, { recursive: true });
  }
  console.log('The job of a killed parent ended, or went on where asked to.');
}
