// A worker that runs several jobs, one after another: it takes each order from
// its socket, claims the job, runs it and answers, until the socket ends. A job
// that leaves something behind is the last one.
import { setImmediate } from 'node:timers';
import { environmentOfJob, workingDirectory } from '../protocol/environment.js';
import { Claims } from '../protocol/claims.js';
import type { Frame, MessageKind } from '../protocol/frame.js';
import {
  type Message,
  MessageReader,
  sendMessage,
} from '../protocol/messages.js';
import { type Body, type WorkerBody, unpackOrder } from '../protocol/order.js';
import {
  type PackedSurroundings,
  unpackEnv,
} from '../protocol/surroundings.js';
import { type WorkerState, packReport } from '../protocol/worker-messages.js';
import { workerState } from '../protocol/worker-state.js';
import { noSlot } from '../slots/slot-pipe.js';
import {
  type Watch,
  check,
  errno,
  native,
  systemError,
} from '../system/binding.js';
import { trace } from '../system/trace.js';
import { encodeThrown } from '../wire/value.js';
import { changeDirectory, changeEnvironment } from './after-fork.js';
import { type Answer, answerOn } from './answer.js';
import { Leftovers } from './leftovers.js';
import { flushOutput, hasOutput } from './output.js';
import { type WorkerOrder, end, perform } from './run.js';
import { enterWorker, followSubmitter } from './worker.js';

export interface ServerOrder extends WorkerOrder<WorkerBody> {
  readonly claimsFile: number;
}

/** Runs jobs, and ends the process. */
export function serve(order: ServerOrder): void {
  const claims = new Claims(order.claimsFile);
  native.close(order.claimsFile);
  const server = new Server(order, claims);
  enterWorker({ ...order, token: noSlot }, order.body.head, claims);
  if (order.forkserverFd < 0) {
    followSubmitter(order.body.head.orphanSignal, server.answer);
  }
  server.start();
}

const noBytes = Buffer.alloc(0);

class Server {
  readonly #order: ServerOrder;
  readonly #claims: Claims;
  readonly #socket: number;
  readonly #reader = new MessageReader();
  #watch: Watch | undefined;
  #isBusy = false;
  /** What the next message of an answer says. */
  #stateAfter: WorkerState = 'busy';
  /** No more orders will come. */
  #isOver = false;
  #surroundings: PackedSurroundings | undefined;
  /** Before the first job, that of no job. */
  answer: Answer;

  constructor(order: ServerOrder, claims: Claims) {
    this.#order = order;
    this.#claims = claims;
    this.#socket = order.resultFd;
    this.answer = this.#answerTo(0);
  }

  start(): void {
    check(native.setNonBlocking(this.#socket, true), 'prepare the socket');
    const watch = native.watch(this.#socket, () => {
      this.#receive();
    });
    if (typeof watch === 'number') throw systemError(watch, 'watch the socket');
    this.#watch = watch;
    this.#receive();
  }

  #receive(): void {
    if (!this.#isOver && !this.#reader.fill(this.#socket)) {
      this.#isOver = true;
      native.unwatch(this.#watch!);
    }
    this.#takeNext();
  }

  /** Begins the next job that was not recalled. */
  #takeNext(): void {
    while (!this.#isBusy) {
      const message = this.#reader.next();
      if (message === undefined && this.#reader.isReading) continue;
      if (message === undefined) break;
      if (this.#claims.claim(message.job)) void this.#run(message);
    }
    if (this.#isOver && !this.#isBusy) void this.#leave();
  }

  async #run({ job, bytes }: Message): Promise<void> {
    this.#isBusy = true;
    // A job whose promise never settles ends with the event loop.
    if (!this.#isOver) native.refWatch(this.#watch!, false);
    this.#stateAfter = 'busy';
    this.answer = this.#answerTo(job);
    let leftovers = new Leftovers();
    const { kind, bytes: result } = await this.#perform(bytes, () => {
      leftovers = new Leftovers();
    });
    const isClean = leftovers.find() === undefined && !hasOutput();
    this.#stateAfter = isClean ? 'free' : 'busy';
    this.answer.send(kind, result);
    if (!isClean && !(await this.#settle(job, leftovers))) return;
    process.exitCode = undefined;
    this.#isBusy = false;
    if (!this.#isOver) native.refWatch(this.#watch!, true);
    // Not at once: what the job has left to Node runs before the next job.
    setImmediate(() => {
      this.#takeNext();
    });
  }

  #perform(bytes: Buffer | undefined, onLoaded: () => void): Promise<Frame> {
    if (bytes === undefined) {
      const error = systemError(-errno.EMFILE, 'receive the arguments');
      return Promise.resolve({ kind: 'error', bytes: encodeThrown(error) });
    }
    const { token, body, surroundings } = unpackOrder(bytes);
    workerState.ambient!.token = token;
    const { slotPipes } = this.#order;
    return perform({
      body: body as Body,
      slotPipes,
      enter: () => {
        this.#enter(surroundings ?? this.#surroundings!);
      },
      onLoaded,
    });
  }

  /** Waits for what the job has left behind. False when it was the last job. */
  async #settle(job: number, leftovers: Leftovers): Promise<boolean> {
    await flushOutput();
    const left = leftovers.find();
    if (left === undefined) {
      this.#send(job, 'none', 'free');
      return true;
    }
    trace('job %d has left %s behind, so its process ends', job, left);
    for (const busy of workerState.busy) {
      busy.refuse();
      await busy.drain();
    }
    this.#send(job, 'none', 'last');
    await this.#leave();
    return false;
  }

  /** Follows the submitter, and undoes what an earlier job has changed. */
  #enter(to: PackedSurroundings): void {
    this.#surroundings = to;
    const { cwd, submitter, env } = to;
    if (cwd !== workingDirectory()) changeDirectory(cwd, submitter);
    const wanted = unpackEnv(env);
    const present = environmentOfJob(new Map());
    if (present.join('\0') === wanted.join('\0')) return;
    changeEnvironment(new Map(Object.entries(process.env)), wanted);
  }

  async #leave(): Promise<void> {
    this.#isBusy = true;
    await end(this.#order.exit, this.answer);
  }

  #answerTo(job: number): Answer {
    return answerOn(this.#socket, (kind, bytes) => {
      this.#send(job, kind, this.#stateAfter, bytes);
    });
  }

  #send(
    job: number,
    kind: MessageKind | 'none',
    state: WorkerState,
    bytes: Buffer = noBytes,
  ): void {
    const code = packReport({ kind, state });
    sendMessage(this.#socket, { kind: code, job, parts: [bytes] }, true);
  }
}
