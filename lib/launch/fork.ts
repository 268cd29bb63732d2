// The fork context: a copy of this process with everything in its memory. Only
// the result is encoded.
import { check, native } from '../system/binding.js';
import { forkError } from '../system/forkable.js';
import { rehearse, runInFork } from '../child/fork.js';
import { forgetMappings } from '../memory/mappings.js';
import { detach } from '../memory/move.js';
import { closePieces } from '../memory/pieces.js';
import { ChildWorker } from './child-worker.js';
import type { Launcher } from './launcher.js';
import { groupGraceOf } from './process-group.js';

let isRehearsed = false;

export const forkLauncher: Launcher = {
  launch(order, resultWriter, token, stdio) {
    if (!isRehearsed) rehearse();
    isRehearsed = true;
    // Creates the streams here, once: doing so in a child outlasts a small job.
    void process.stdout;
    void process.stderr;
    // A lock that another thread holds during the fork would stay locked in the
    // child.
    const isQuiet = check(native.awaitQuiet(quietMs), 'look at the threads');
    if (isQuiet === 0) {
      throw forkError('another thread of this process stays busy');
    }
    // A fork would write into the memory of buffers that others have sent.
    forgetMappings();
    closePieces();
    check(native.makeSegmentsPrivate(), 'fork');
    const pid = check(native.fork(), 'fork');
    const { local, slotPipes } = order;
    if (pid > 0) {
      detach(local!.moved);
      // Here and in the child, because either may be the first to need it.
      if (order.processGroup) native.leadGroup(pid);
      return new ChildWorker(pid, groupGraceOf(order));
    }
    if (order.processGroup) native.leadGroup(0);
    return runInFork(order, local!, {
      slotPipes,
      resultFd: resultWriter,
      token: token.byte,
      lenders: token.lenders,
      stdio,
    });
  },
};

// A thread of V8's pool may be busy for a moment after a garbage collection.
const quietMs = 1000;
