// Writes what a job has written to the streams of this process, in one piece. A process
// locks the files of its streams while it writes. A lock of the whole pool could
// deadlock: its holder may wait for its submitter to empty a pipe, while the submitter
// waits for the lock.
import { check, errno, native } from '../system/binding.js';
import { deadlineAfter, remaining } from '../system/deadline.js';
import { writeAll } from '../system/fd.js';
import { trace } from '../system/trace.js';
import { type KeptStream, type Part, joined } from './kept-stream.js';

// How long to wait for the lock. Who holds it for longer has probably been stopped; then
// this process writes without the lock.
const patienceMs = 10_000;
const retryMs = 1;

export function writeGroup(stdout: KeptStream, stderr: KeptStream): void {
  const runs = runsOf([
    ...stdout.parts().map((part) => ({ part, fd: 1 })),
    ...stderr.parts().map((part) => ({ part, fd: 2 })),
  ]);
  if (runs.length === 0) return;
  const locked = [1, 2].filter(lock);
  try {
    for (const { fd, parts } of runs) {
      check(writeAll(fd, joined(parts)), 'write the output of a job');
    }
  } catch (error) {
    warn(error);
  } finally {
    for (const fd of locked) native.lockFile(fd, false);
  }
}

interface Run {
  readonly fd: number;
  readonly parts: Part[];
}

/** Parts of one stream that follow each other are written at once. */
function runsOf(all: { readonly part: Part; readonly fd: number }[]): Run[] {
  const runs: Run[] = [];
  for (const { part, fd } of all.sort((a, b) => a.part.order - b.part.order)) {
    const last = runs.at(-1);
    if (last?.fd === fd) last.parts.push(part);
    else runs.push({ fd, parts: [part] });
  }
  return runs;
}

/** False for what the system cannot lock, as a pipe of macOS. */
function lock(fd: number): boolean {
  const deadline = deadlineAfter(patienceMs);
  for (;;) {
    const result = native.lockFile(fd, true);
    if (result !== -errno.EAGAIN) return result === 0;
    if (remaining(deadline) <= 0) {
      trace('descriptor %d is still locked after %d ms', fd, patienceMs);
      return false;
    }
    native.poll(new Int32Array(0), 0, retryMs);
  }
}

let hasWarned = false;

function warn(error: unknown): void {
  trace('the output of a job is lost: %s', error);
  if (hasWarned) return;
  hasWarned = true;
  process.emitWarning(`The output of jobs is lost: ${String(error)}`, {
    type: 'JobserverWarning',
    code: 'JOBSERVER_OUTPUT',
  });
}
