// One job, in its own process: imports the function, calls it, sends one frame
// and leaves. Whatever happens on the way, the submitter gets that frame or the
// end of the pipe.
import { constants } from 'node:os';
import { inspect, types } from 'node:util';
import { native, pollEvents } from '../system/binding.js';
import { type FrameKind, writeFrame } from '../protocol/frame.js';
import { describeFunction, importFunction } from '../functions/function-ref.js';
import type { Body, Callee, Head } from '../protocol/order.js';
import { trace } from '../system/trace.js';
import { decode, encode, encodeThrown } from '../wire/value.js';
import { workerState } from '../protocol/worker-state.js';
import { flushOutput, writeLastWords } from './output.js';

export interface InheritedSlots {
  readonly reader: number;
  readonly writer: number;
  readonly count: number | undefined;
}

export interface WorkerOrder {
  readonly body: Body;
  /** The byte of the slot that this job holds, or -1. */
  readonly token: number;
  readonly resultFd: number;
  /** The first is that of the Jobserver which runs this job. */
  readonly slotPipes: readonly InheritedSlots[];
  /** Where to ask the forkserver that this process comes from, or -1. */
  readonly forkserverFd: number;
  /** What has to be done before the job, and may fail as the job may. */
  readonly enter?: () => void;
  /** Ends the process, where nobody listens for its end. */
  readonly exit: (code: number) => void;
}

/** Runs the job and ends the process. */
export async function run(order: WorkerOrder): Promise<void> {
  const { head } = order.body;
  const answer = answerOn(order.resultFd);
  enterWorker(order, head);
  // The zygote does the same for those that it forks.
  if (order.forkserverFd < 0) followSubmitter(head, answer);
  await perform(order, answer);
  if (trace.enabled) trace('job %s answered', describeFunction(head.fn));
  // Its own jobs must give back their slots before it can go.
  for (const busy of workerState.busy) {
    busy.refuse();
    await busy.drain();
  }
  await flushOutput();
  if (answer.isOrphan()) giveBack(order);
  if (hasExitListener()) process.exit();
  // As Node does: any integer will do.
  order.exit(Number(process.exitCode ?? 0) | 0);
}

/** One of the job's own: without any, the way there costs more than it is good for. */
export function hasExitListener(): boolean {
  const own = process.listenerCount('exit', reportExit);
  return process.listenerCount('exit') > own;
}

/** Makes the call and answers with its outcome. */
async function perform(
  { body, slotPipes, enter }: WorkerOrder,
  answer: Answer,
): Promise<void> {
  try {
    enter?.();
    const value = await call(body, slotPipes);
    answer.send('value', encode(value, 'result'));
  } catch (error) {
    answer.send('error', encodeThrown(error));
  }
}

/** Pairs the fds of the slot pipes that came along, reader before writer. */
export function inheritedSlots(
  { slots }: Head,
  fds: readonly number[],
): InheritedSlots[] {
  return slots.map((count, i) => ({
    reader: fds[2 * i]!,
    writer: fds[2 * i + 1]!,
    count,
  }));
}

type Place = Pick<
  WorkerOrder,
  'token' | 'resultFd' | 'slotPipes' | 'forkserverFd'
>;
type Role = Pick<Head, 'context' | 'preload' | 'orphanSignal'>;

/** Makes this process one that runs a job. */
export function enterWorker(
  { token, resultFd, slotPipes, forkserverFd }: Place,
  { context, preload, orphanSignal }: Role,
): void {
  const [slots] = slotPipes;
  workerState.isWorker = true;
  workerState.ambient = slots && {
    reader: slots.reader,
    writer: slots.writer,
    slots: slots.count,
    context,
    preload,
    forkserverFd,
  };
  if (slots !== undefined && token >= 0 && orphanSignal > 0) {
    native.guardToken(orphanSignal, resultFd, slots.writer, token);
  }
  // Those that came before the guard was there have waited.
  native.unblockSignals();
}

/**
 * Asks for the orphan signal, only now: earlier, nothing would have given the
 * slot back. A submitter that died meanwhile is told by the result pipe.
 */
export function followSubmitter(
  { orphanSignal }: Pick<Head, 'orphanSignal'>,
  answer: Answer,
): void {
  if (orphanSignal === 0) return;
  // Where there is no such signal, orphans live on.
  native.setDeathSignal(orphanSignal, process.ppid);
  if (answer.isOrphan()) process.kill(process.pid, orphanSignal);
}

/** The one frame that this process may send. */
export class Answer {
  readonly #fd: number;
  #isSent = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  get isSent(): boolean {
    return this.#isSent;
  }

  send(kind: FrameKind, bytes: Buffer): void {
    if (this.#isSent) return;
    this.#isSent = true;
    // Without a reader there is nobody to tell; the job ends all the same.
    writeFrame(this.#fd, kind, bytes);
  }

  /** True when the submitter is gone: it keeps its end open while it lives. */
  isOrphan(): boolean {
    // Linux says the one, macOS the other.
    const gone = pollEvents.error | pollEvents.hangUp;
    const fds = Int32Array.of(this.#fd, 0);
    return native.poll(fds, 1, 0) > 0 && ((fds[1]! >> 16) & gone) !== 0;
  }
}

let current: Answer | undefined;

/** Through which the end of this process is told, if it comes before the result. */
export function answerOn(resultFd: number): Answer {
  current = new Answer(resultFd);
  return current;
}

/** A living submitter gives the slot back itself; nobody else would. */
export function giveBack({
  token,
  slotPipes: [slots],
}: Pick<WorkerOrder, 'token' | 'slotPipes'>): void {
  if (token < 0 || slots === undefined) return;
  native.write(slots.writer, Uint8Array.of(token), 0, 1);
}

async function call(
  { head, args, preexecArgs }: Body,
  slotPipes: readonly InheritedSlots[],
): Promise<unknown> {
  workerState.isImporting = true;
  const fn = (await importFunction(head.fn)) as Callee;
  const preexec =
    head.preexec && ((await importFunction(head.preexec)) as Callee);
  const imports: unknown[] = [];
  for (const ref of head.imports) imports.push(await importFunction(ref));
  workerState.isImporting = false;

  const revive = (data: unknown): object =>
    reviveHandle(data, slotPipes, imports);
  const release =
    preexec && (await prepare(preexec, decode(preexecArgs, revive)));
  const outcome = await settle(async () => {
    const given = decode(args, revive) as unknown[];
    if (!head.isMapped) return fn(...given);
    const values: unknown[] = [];
    for (const each of given as unknown[][]) values.push(await fn(...each));
    return values;
  });
  if (release === undefined) return outcomeOf(outcome);
  const released = await settle(async () => release());
  return outcomeOf(outcome, released);
}

type Settled = PromiseSettledResult<unknown>;

async function settle(step: () => Promise<unknown>): Promise<Settled> {
  const [settled] = await Promise.allSettled([step()]);
  return settled;
}

/** The failure of a release counts more, and has that of the call as cause. */
export function outcomeOf(outcome: Settled, released?: Settled): unknown {
  if (released?.status === 'rejected') {
    const error: unknown = released.reason;
    const isBare = types.isNativeError(error) && error.cause === undefined;
    if (outcome.status === 'rejected' && isBare) error.cause = outcome.reason;
    throw error;
  }
  // eslint-disable-next-line @typescript-eslint/only-throw-error -- as it was
  if (outcome.status === 'rejected') throw outcome.reason;
  return outcome.value;
}

/** Runs preexec; returns what releases the Disposable that it returned. */
async function prepare(
  preexec: Callee,
  args: unknown,
): Promise<(() => unknown) | undefined> {
  const guard: unknown = await preexec(...(args as unknown[]));
  if (guard === undefined || guard === null) return undefined;
  const disposable = guard as Partial<AsyncDisposable & Disposable>;
  const dispose = disposable[Symbol.asyncDispose] ?? disposable[Symbol.dispose];
  if (typeof dispose === 'function') return () => dispose.call(guard as never);
  throw new TypeError(
    'Expected preexec to return nothing or a Disposable, ' +
      `got ${typeof guard}`,
  );
}

// The top of the library is loaded only where an argument asks for it.
function reviveHandle(
  data: unknown,
  slotPipes: readonly InheritedSlots[],
  imports: readonly unknown[],
): object {
  const { reviveJobserver } =
    require('../jobserver.js') as typeof import('../jobserver.js');
  return reviveJobserver(data, slotPipes, imports);
}

/** Node opens its inspector on SIGUSR1; a job dies of it as of other signals. */
export function dieOfEachSignal(): void {
  native.resetSignal(constants.signals.SIGUSR1);
}

/** Tells the submitter why the process ends, where Node lets us know. */
export function reportEndings(isForked: boolean): void {
  process.on('beforeExit', () => {
    isIdle = true;
  });
  if (isForked) endOnUncaught();
  else reportUncaught();
  process.on('exit', reportExit);
}

let isIdle = false;

export function reportExit(code: number): void {
  if (current === undefined || current.isSent) return;
  const message = isIdle
    ? 'The promise of the job never settled, and nothing was left to do'
    : `process.exit(${code}) was called before the job had a result`;
  current.send('lost', encodeThrown(new Error(message)));
}

function reportUncaught(): void {
  process.on('uncaughtExceptionMonitor', (error) => {
    // A handler of the job's own decides what becomes of the process.
    if (process.listenerCount('uncaughtException') > 0) return;
    if (process.hasUncaughtExceptionCaptureCallback()) return;
    current?.send('lost', encodeThrown(error));
  });
}

// Node's own way out ends in threads that a forked child does not have.
function endOnUncaught(): void {
  process.on('uncaughtException', (error) => {
    if (process.listenerCount('uncaughtException') > 1) return;
    current?.send('lost', encodeThrown(error));
    writeLastWords(
      `Uncaught ${inspect(error)}\n\nNode.js ${process.version}\n`,
    );
    process.exit(1);
  });
}
