// The fork context: a copy of this very process, closures and all. Only the
// result is encoded.
import { isMainThread } from 'node:worker_threads';
import { check, native } from '../system/binding.js';
import { rehearse, runInFork } from '../child/fork.js';
import { codedError } from '../errors.js';
import { workerState } from '../protocol/worker-state.js';
import { ChildWorker } from './child-worker.js';
import type { Launcher } from './launcher.js';

let isRehearsed = false;

export const forkLauncher: Launcher = {
  launch(order, resultWriter, token) {
    if (!isRehearsed) rehearse();
    isRehearsed = true;
    // A child needs them; to make them takes it longer than a small job.
    void process.stdout;
    void process.stderr;
    awaitQuiet();
    const pid = check(native.fork(), 'fork');
    if (pid > 0) return new ChildWorker(pid);
    return runInFork({
      call: order.local!,
      surroundings: order,
      preload: order.preload,
      orphanSignal: order.orphanSignal,
      slotPipes: order.slotPipes,
      resultFd: resultWriter,
      token,
    });
  },
};

// One thread of V8's pool may be awake for a moment after a collection.
const looks = 200;

/** A thread that holds a lock at the fork would hold it in the child for ever. */
function awaitQuiet(): void {
  for (let look = 0; look < looks; look++) {
    if (native.isQuiet() !== 0) return;
    native.poll(new Int32Array(0), 0, 1);
  }
  throw forkError('another thread of this process does not come to rest');
}

/** Throws where a fork of this process could not run JavaScript. */
export function checkForkable(): void {
  if (process.platform !== 'linux') {
    throw forkError(`${process.platform} cannot fork a node process`);
  }
  if (!isMainThread) throw forkError('this is a worker thread');
  if (workerState.isForked || hasFlags()) return;
  throw forkError(
    'this process has threads that a fork would lack. Start it with ' +
      '`node --single-threaded --v8-pool-size=1`',
  );
}

function hasFlags(): boolean {
  const flags = process.execArgv.map((flag) => flag.replaceAll('_', '-'));
  return (
    flags.includes('--single-threaded') && flags.includes('--v8-pool-size=1')
  );
}

function forkError(why: string): Error {
  return codedError(
    'ERR_JOBSERVER_FORK',
    `The fork context is not possible: ${why}`,
  );
}
