// A job in a fork of its submitter. The submitter's stack and event loop are
// both here, and neither may go on: its timers, sockets and `finally` blocks
// would run twice. So a job is one synchronous call, made right here, and the
// process ends with it.
import { EventEmitter } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { closeInherited } from '../system/fd.js';
import type { LocalCall, Surroundings } from '../protocol/order.js';
import { selector } from '../system/selector.js';
import { encode, encodeThrown } from '../wire/value.js';
import { workerState } from '../protocol/worker-state.js';
import { writeThrough } from './output.js';
import {
  changeEnvironment,
  dropInput,
  exitNow,
  leaveThroughKernel,
  setPid,
} from './after-fork.js';
import { forgetSeed, replaceMathRandom } from './random.js';
import {
  Answer,
  type InheritedSlots,
  answerOn,
  enterWorker,
  followSubmitter,
  giveBack,
  hasExitListener,
  outcomeOf,
  reportExit,
} from './run.js';

export interface ForkOrder {
  readonly call: LocalCall;
  readonly surroundings: Surroundings;
  readonly preload: readonly string[];
  readonly orphanSignal: number;
  readonly slotPipes: readonly InheritedSlots[];
  readonly resultFd: number;
  readonly token: number;
}

const nothing: LocalCall = {
  fn: () => undefined,
  args: [],
  isMapped: false,
  preexec: undefined,
  preexecArgs: [],
};

/** For the submitter: what V8 has to compile in a fork is lost with it, and takes longer than a small job. */
export function rehearse(): void {
  const nowhere = openSync(devNull, 'w');
  const answer = new Answer(nowhere);
  new EventEmitter().on('exit', nothing.fn).removeAllListeners('exit');
  changeEnvironment(new Map(), []);
  followSubmitter({ orphanSignal: 0 }, answer);
  answer.send('value', encode(callAll(nothing), 'result'));
  answer.isOrphan();
  closeSync(nowhere);
}

export function runInFork(order: ForkOrder): never {
  const answer = answerOn(order.resultFd);
  try {
    cutOff(order, answer);
    answer.send('value', encode(callAll(order.call), 'result'));
  } catch (error) {
    answer.send('error', encodeThrown(error));
  }
  try {
    leave(order, answer);
  } finally {
    exitNow(0);
  }
}

/** From all that is the parent's: its jobs, its way out, its listeners. */
function cutOff(order: ForkOrder, answer: Answer): void {
  const { surroundings } = order;
  setPid();
  leaveThroughKernel();
  workerState.generation += 1;
  workerState.busy.clear();
  selector.reset();
  closeInherited(order.resultFd);
  dropInput();
  writeThrough();
  process.removeAllListeners('exit');
  process.removeAllListeners('beforeExit');
  process.on('exit', reportExit);
  enterWorker({ ...order, forkserverFd: -1 }, { ...order, context: 'fork' });
  followSubmitter(order, answer);
  if (surroundings.cwd !== process.cwd()) process.chdir(surroundings.cwd);
  const present = new Map(Object.entries(process.env));
  changeEnvironment(present, surroundings.env);
  replaceMathRandom();
  forgetSeed();
}

function callAll(call: LocalCall): unknown {
  const { fn, args, isMapped, preexec, preexecArgs } = call;
  const release = prepare(preexec?.(...preexecArgs));
  const outcome = settle(() => {
    if (!isMapped) return checkSync(fn(...args), 'The job');
    const argses = args as readonly (readonly unknown[])[];
    return argses.map((each) => checkSync(fn(...each), 'The job'));
  });
  return outcomeOf(
    outcome,
    settle(() => release?.()),
  );
}

function settle(step: () => unknown): PromiseSettledResult<unknown> {
  try {
    return { status: 'fulfilled', value: step() };
  } catch (reason) {
    return { status: 'rejected', reason };
  }
}

function prepare(guard: unknown): (() => void) | undefined {
  if (guard === undefined || guard === null) return undefined;
  checkSync(guard, 'preexec');
  const dispose = (guard as Partial<Disposable>)[Symbol.dispose];
  if (typeof dispose === 'function') return () => dispose.call(guard as never);
  throw new TypeError(
    `Expected preexec to return nothing or a Disposable, got ${typeof guard}`,
  );
}

function checkSync(value: unknown, who: string): unknown {
  const { then } = (value ?? {}) as { then?: unknown };
  if (typeof then !== 'function') return value;
  throw new TypeError(
    `${who} returned a promise, but a fork of its submitter has no event ` +
      'loop: make it synchronous, or use the forkserver context',
  );
}

function leave(order: ForkOrder, answer: Answer): void {
  for (const busy of workerState.busy) {
    busy.refuse();
    while (busy.running > 0) selector.turn(-1);
  }
  if (answer.isOrphan()) giveBack(order);
  if (hasExitListener()) process.emit('exit', 0);
}
