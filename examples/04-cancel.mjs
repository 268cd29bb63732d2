// Ways to end a job early: `killSignal` of wait, kill, and an AbortSignal,
// which also ends the wait for a slot.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Jobserver, LostResult, isWorker } from 'jobserver';

export async function runForMinutes(startedPath) {
  writeFileSync(startedPath, '');
  await sleep(10 * 60_000);
}

export function triple(n) {
  return 3 * n;
}

async function untilExists(path) {
  while (!existsSync(path)) await sleep(5);
}

if (!isWorker) {
  const folder = mkdtempSync(join(tmpdir(), 'jobserver-'));
  const jobserver = new Jobserver({ slots: 1 });
  try {
    const first = await jobserver.submit(runForMinutes, [join(folder, 'a')]);
    assert.equal(await first.wait({ killSignal: 'SIGTERM' }), true);
    await assert.rejects(first.result(), { signal: 'SIGTERM', exitCode: null });

    const second = await jobserver.submit(runForMinutes, [join(folder, 'b')]);
    await untilExists(join(folder, 'b'));
    assert.equal(second.kill('SIGKILL'), true);
    await assert.rejects(second.result(), LostResult);
    assert.equal(second.pid, undefined);
    assert.equal(second.kill('SIGKILL'), false); // The process has ended.

    const running = new AbortController();
    const third = await jobserver.submit(runForMinutes, [join(folder, 'c')], {
      signal: running.signal,
    });
    const waiting = new AbortController();
    const fourth = jobserver.submit(triple, [1], { signal: waiting.signal });
    waiting.abort();
    await assert.rejects(fourth, { name: 'AbortError' });
    await untilExists(join(folder, 'c'));
    running.abort();
    await assert.rejects(third.result(), { name: 'AbortError' });

    // Each of them has given the only slot back.
    assert.equal(await jobserver.run(triple, 14), 42);
  } finally {
    await jobserver.close();
    rmSync(folder, { recursive: true });
  }
  console.log('Three running jobs and a waiting one were ended early.');
}
