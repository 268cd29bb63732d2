// A job in a fork of its submitter. The submitter's stack and event loop are
// copied too, and must not continue: its timers, sockets and `finally` blocks
// would run twice. So the job is one synchronous call, made inside the launch,
// and the process ends after it.
import { EventEmitter } from 'node:events';
import { constants } from 'node:fs';
import { devNull, constants as os } from 'node:os';
import { callAllSync } from '../protocol/fork-callbacks.js';
import { writeTimes } from '../protocol/frame.js';
import { forgetPools } from '../memory/segment-pool.js';
import type { Stdio } from '../output/plan.js';
import type { LocalCall, Order } from '../protocol/order.js';
import type { Surroundings } from '../protocol/surroundings.js';
import { workingDirectory } from '../protocol/environment.js';
import { workerState } from '../protocol/worker-state.js';
import { native } from '../system/binding.js';
import { now } from '../system/deadline.js';
import { closeInherited, openFile } from '../system/fd.js';
import { selector } from '../system/selector.js';
import {
  changeEnvironment,
  dropInput,
  exitNow,
  exitWithoutThreads,
  restartUptime,
  setPid,
} from './after-fork.js';
import { Answer, answerOn } from './answer.js';
import { callSync, checkSync } from './call.js';
import { NextSettings } from './next-settings.js';
import { isExitObserved, reportEndings } from './exit-report.js';
import { outcomeOfError, outcomeOfValue } from './outcome.js';
import { enterStreams, writeThrough } from './output.js';
import { random, renewRandomness, replaceMathRandom } from './random.js';
import { replaceInContexts } from './vm-random.js';
import {
  type WorkerFds,
  enterWorker,
  followSubmitter,
  giveTokenBack,
  setKillGrace,
} from './worker.js';

/** The parts of an order that a fork needs. */
type ForkOrder = Surroundings &
  Pick<
    Order,
    | 'preparation'
    | 'orphanSignal'
    | 'processGroup'
    | 'killGrace'
    | 'attempt'
    | 'settings'
  >;
interface ForkFds extends Omit<WorkerFds, 'forkserverFd' | 'preload'> {
  /** Undefined: those of the submitter, except for the input. */
  readonly stdio: Stdio | undefined;
}

const emptyCall: LocalCall = {
  fn: () => undefined,
  args: [],
  mapping: 'none',
  job: { name: '', depth: 1 },
  preexec: undefined,
  preexecArgs: [],
  moved: [],
};

/**
 * Runs in the submitter, before its first fork, what a fork runs; otherwise V8
 * compiles it in each fork, which takes longer than a small job.
 */
export function rehearse(): void {
  const sink = openFile(devNull, constants.O_WRONLY);
  const answer = new Answer(sink.number);
  new EventEmitter().on('exit', emptyCall.fn).removeAllListeners('exit');
  changeEnvironment(new Map(), []);
  followSubmitter(0, answer);
  answer.send(outcomeOfValue(call(emptyCall), 'none'));
  answer.isOrphan();
  sink.close();
}

export function runInFork(
  order: ForkOrder,
  localCall: LocalCall,
  fds: ForkFds,
): never {
  const { resultFd } = fds;
  const answer = answerOn(resultFd);
  try {
    separate(order, fds, answer);
    workerState.job = { ...localCall.job, attempt: order.attempt ?? 1 };
    callAllSync(checkSync);
    const began = now();
    const value = call(localCall);
    const outcome = outcomeOfValue(value, localCall.mapping);
    writeTimes(resultFd, { load: 0, run: now() - began });
    answer.send(outcome);
  } catch (error) {
    answer.send(outcomeOfError(error));
  }
  try {
    leave(answer);
  } finally {
    exitNow(0);
  }
}

/** Gives up what belongs to the parent: its jobs, its handlers, its exit. */
function separate(order: ForkOrder, fds: ForkFds, answer: Answer): void {
  setPid();
  restartUptime();
  process.title = 'jobserver-worker';
  exitWithoutThreads();
  workerState.generation += 1;
  workerState.busy.clear();
  workerState.slotNumber = undefined;
  selector.reset();
  // Its copies of their descriptors are closed like all others.
  forgetPools();
  native.guardToken(0, 0, 0, 0);
  // Its copy of the signal of the parent.
  workerState.ambient?.endSignal?.();
  const { stdio } = fds;
  if (stdio?.input === undefined) dropInput();
  if (stdio !== undefined) enterStreams(stdio);
  closeParentFds([fds.resultFd, ...fds.lenders]);
  writeThrough();
  process.removeAllListeners('exit');
  process.removeAllListeners('beforeExit');
  removeSignalListeners();
  // Without what the parent runs at its own end in a wrapper of `emit`.
  reportEndings(EventEmitter.prototype);
  const { preparation, orphanSignal, processGroup } = order;
  const { preload, warmUp } = preparation;
  const head = { context: 'fork', warmUp, orphanSignal, processGroup } as const;
  enterWorker({ ...fds, preload, forkserverFd: -1 }, head);
  setKillGrace(order);
  followSubmitter(orphanSignal, answer);
  new NextSettings(order.settings).enter();
  if (order.cwd !== workingDirectory()) process.chdir(order.cwd);
  changeEnvironment(new Map(Object.entries(process.env)), order.env);
  replaceMathRandom();
  replaceInContexts(random);
  renewRandomness();
}

// The fork has reset the handlers. While there is a listener, Node would install
// none for a listener of the job.
function removeSignalListeners(): void {
  const signals = new Set<string | symbol>(Object.keys(os.signals));
  for (const name of process.eventNames()) {
    if (signals.has(name)) process.removeAllListeners(name);
  }
}

// The submitters of the parent and of its lenders wait for the end of these
// result sockets. A child holds them only while it runs in their slot.
function closeParentFds(kept: readonly number[]): void {
  closeInherited(kept);
  for (const fd of workerState.ambient?.resultSockets ?? []) {
    if (!kept.includes(fd)) native.close(fd);
  }
}

function call({ args, preexecArgs, ...rest }: LocalCall): unknown {
  return callSync({
    ...rest,
    args: () => args,
    preexecArgs: () => preexecArgs,
  });
}

function leave(answer: Answer): void {
  for (const busy of workerState.busy) {
    busy.refuse();
    while (busy.running > 0) selector.turn(-1);
  }
  if (answer.isOrphan()) giveTokenBack();
  if (isExitObserved()) process.emit('exit', 0);
}
