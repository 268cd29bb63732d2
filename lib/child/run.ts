// One job in a process with an event loop: imports the function, calls it,
// sends one frame and exits. Whatever goes wrong, the submitter gets that frame
// or the end of the pipe.
import { fileURLToPath } from 'node:url';
import {
  type FunctionRef,
  describeFunction,
  importFunction,
} from '../functions/function-ref.js';
import { type Arrivals, singleArrivals } from '../memory/arrivals.js';
import type { Inherited, InheritedSlots } from '../protocol/fds.js';
import { writeTimes } from '../protocol/frame.js';
import type { Body, Callee, Head, WorkerBody } from '../protocol/order.js';
import { workerState } from '../protocol/worker-state.js';
import { now } from '../system/deadline.js';
import type { Fd } from '../system/fd.js';
import { whyUnreadable } from '../system/readable.js';
import { trace } from '../system/trace.js';
import { type ArrivedBuffer, decode } from '../wire/value.js';
import { type Answer, answerOn } from './answer.js';
import { type JobCall, callAsync } from './call.js';
import { exitAsNode, exitCode, isExitObserved } from './exit-report.js';
import { type Outcome, outcomeOfError, outcomeOfValue } from './outcome.js';
import { NextSettings } from './next-settings.js';
import { flushOutput } from './output.js';
import {
  type WorkerFds,
  enterWorker,
  followSubmitter,
  giveTokenBack,
  setKillGrace,
  setMemoryLimit,
} from './worker.js';

export interface WorkerOrder<B extends Body | WorkerBody = Body>
  extends WorkerFds, Pick<Inherited, 'ports'> {
  readonly body: B;
  /** Of the call. */
  readonly enclosures: readonly Fd[];
  /** Enters the surroundings of the job, which fails with what it throws. */
  readonly enter?: () => void;
  /** Does what comes before the first job, which fails with what it throws. */
  readonly prepare: (() => Promise<void>) | undefined;
  /** Ends the process when the job does not observe its end. */
  readonly exit: (code: number) => void;
}

/** Runs the job and ends the process. */
export async function run(order: WorkerOrder): Promise<void> {
  const { head } = order.body;
  const answer = answerOn(order.resultFd);
  enterWorker(order, head);
  setMemoryLimit(head);
  setKillGrace(head);
  workerState.job = head;
  // The zygote signals the orphans among its children itself.
  if (order.forkserverFd < 0) followSubmitter(head.orphanSignal, answer);
  answer.send(await perform(order));
  if (trace.enabled) trace('job %s answered', describeFunction(head.fn));
  await end(order.exit, answer);
}

/** Ends the process after its last job. */
export async function end(
  exit: WorkerOrder['exit'],
  answer: Answer,
): Promise<void> {
  // Only this process gives back the tokens of jobs that the job has submitted.
  for (const busy of workerState.busy) {
    busy.refuse();
    await busy.drain();
  }
  await flushOutput();
  if (answer.isOrphan()) giveTokenBack();
  if (isExitObserved()) exitAsNode();
  exit(exitCode());
}

/** Makes the call and returns its outcome. */
async function perform({
  body,
  slotPipes,
  ports,
  resultFd,
  enclosures,
  enter,
  prepare,
}: WorkerOrder): Promise<Outcome> {
  const began = now();
  let called = began;
  try {
    new NextSettings(body.head.settings).enter();
    enter?.();
    if (prepare !== undefined) await prepare();
    const functions = await load(body.head);
    called = now();
    const buffers = receiveBuffers(body, enclosures, singleArrivals);
    const call = callOf(functions, body, buffers, { slotPipes, ports });
    return outcomeOfValue(await callAsync(call), call.mapping);
  } catch (error) {
    return outcomeOfError(error);
  } finally {
    writeTimes(resultFd, { load: called - began, run: now() - called });
  }
}

/** The large buffers of the arguments, and of those of preexec. */
export type CallBuffers = readonly (readonly ArrivedBuffer[])[];

/** Takes over the files. Throws when they cannot be read. */
export function receiveBuffers(
  { args, preexecArgs }: Pick<Body, 'args' | 'preexecArgs'>,
  files: readonly Fd[],
  arrivals: Arrivals,
): CallBuffers {
  if (files.length === 0) return [];
  return arrivals.receive(files, [args, preexecArgs], true);
}

/** The functions that a head names. */
export interface Functions {
  readonly fn: Callee;
  readonly preexec: Callee | undefined;
  readonly imports: readonly unknown[];
}

export async function load(head: Head): Promise<Functions> {
  workerState.isImporting = true;
  try {
    const fn = await importCallee(head.fn);
    const preexec = head.preexec && (await importCallee(head.preexec));
    const imports: unknown[] = [];
    for (const ref of head.imports) imports.push(await importCallee(ref));
    return { fn, preexec, imports };
  } finally {
    workerState.isImporting = false;
  }
}

/** A call whose arguments are decoded when it is made. */
export function callOf(
  { fn, preexec, imports }: Functions,
  { head, args, preexecArgs }: Body,
  [buffers, preexecBuffers]: CallBuffers,
  { slotPipes, ports }: Pick<Inherited, 'slotPipes' | 'ports'>,
): JobCall {
  const revive = (data: unknown): object => {
    const { port } = data as { port?: number };
    return port === undefined
      ? reviveHandle(data, slotPipes, imports)
      : receivePort(ports[port]!);
  };
  return {
    fn,
    args: () => decode(args, revive, buffers) as unknown[],
    mapping: head.mapping,
    preexec,
    preexecArgs: () => decode(preexecArgs, revive, preexecBuffers) as unknown[],
  };
}

async function importCallee(ref: FunctionRef): Promise<Callee> {
  try {
    return (await importFunction(ref)) as Callee;
  } catch (error) {
    const isFile = 'url' in ref && ref.url.startsWith('file:');
    throw (isFile && whyUnreadable(fileURLToPath(ref.url))) || error;
  }
}

// Required here, because most jobs have no port.
function receivePort(fd: number): object {
  const { portControl } =
    require('../protocol/job-port.js') as typeof import('../protocol/job-port.js');
  return portControl.receive(fd);
}

// Required here, because most jobs get no handle and need no Jobserver.
function reviveHandle(
  data: unknown,
  slotPipes: readonly InheritedSlots[],
  imports: readonly unknown[],
): object {
  const { reviveJobserver } =
    require('../jobserver.js') as typeof import('../jobserver.js');
  return reviveJobserver(data, slotPipes, imports);
}
