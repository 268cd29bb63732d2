// A worker that runs several jobs, one after another: it takes each order from
// its socket, claims the job, runs it and answers, until the socket ends. A job
// that leaves something behind is the last one, and none begins once a file of the
// code has changed.
import { setImmediate } from 'node:timers';
import { changesOfModules } from '../functions/sources.js';
import { Claims } from '../protocol/claims.js';
import { MessageReader, MessageWriter } from '../protocol/messages.js';
import type { WorkerBody } from '../protocol/order.js';
import { UsageMeter } from '../protocol/usage.js';
import {
  type Readiness,
  type Report,
  packReport,
} from '../protocol/worker-messages.js';
import { workerState } from '../protocol/worker-state.js';
import { noSlot } from '../slots/token.js';
import { type Watch, check, native, systemError } from '../system/binding.js';
import { now } from '../system/deadline.js';
import { trace } from '../system/trace.js';
import { type Encoded, encodeThrown } from '../wire/value.js';
import { type Answer, answerOn } from './answer.js';
import { Growth } from './growth.js';
import { leavePipes } from './job-output.js';
import type { Outcome } from './outcome.js';
import { flushOutput, hasOutput } from './output.js';
import { type WorkerOrder, end } from './run.js';
import { type ReceivedCall, ServerCalls } from './server-calls.js';
import { enterWorker, followSubmitter } from './worker.js';

// So many turns of the event loop may pass until what a job has left is gone, such as
// a request of Node to a file. Node also frees each collected buffer in an immediate,
// and a thread hands these buffers over one by one.
const mostTurns = 100;

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

class Server {
  readonly #order: ServerOrder;
  readonly #claims: Claims;
  readonly #socket: number;
  readonly #reader = new MessageReader(() => true);
  readonly #writer = new MessageWriter();
  readonly #calls: ServerCalls;
  #watch: Watch | undefined;
  #isBusy = false;
  /** What the next message of an answer says. */
  #stateAfter: Readiness = 'busy';
  /** No more orders will come. */
  #isOver = false;
  readonly #growth: Growth;
  readonly #meter: UsageMeter | undefined;
  #beganAt = 0; // 0 before the first job
  /** Before the first job, that of no job. */
  answer: Answer;

  constructor(order: ServerOrder, claims: Claims) {
    this.#order = order;
    this.#claims = claims;
    this.#socket = order.resultFd;
    this.#calls = new ServerCalls(order);
    this.#growth = new Growth(order.body.head.maxProcessMemory ?? Infinity);
    const { settings } = order.body.head;
    this.#meter = settings?.isMeasured === true ? new UsageMeter() : undefined;
    this.answer = this.#answerTo(0);
  }

  start(): void {
    check(native.setNonBlocking(this.#socket, true), 'prepare the socket');
    const watch = native.watch(this.#socket, () => this.#receive());
    if (typeof watch === 'number') throw systemError(watch, 'watch the socket');
    this.#watch = watch;
    if (this.#receive()) this.#takeLater();
  }

  /** True when another job can begin. */
  #receive(): boolean {
    const isFilled = !this.#isBusy && this.#reader.hasNext;
    if (!isFilled && !this.#isOver && !this.#reader.fill(this.#socket)) {
      this.#isOver = true;
      native.unwatch(this.#watch!);
    }
    return this.#takeNext();
  }

  /**
   * Begins the next job that was not recalled, and none when the submitter is
   * gone. True when there is another.
   */
  #takeNext(): boolean {
    let hasRun = false;
    while (!this.#isBusy && !this.#isOver && this.#reader.hasNext) {
      // What a job has left to Node runs before the next job.
      if (hasRun) return true;
      // The job would find old code here.
      this.#isOver = changesOfModules() > 0;
      if (this.#isOver) break;
      const message = this.#reader.next();
      if (message === undefined) continue;
      const isClaimed = this.#claims.claim(message.job);
      const received = this.#calls.receive(message);
      // Later calls may refer to what this one has, also if it was recalled. So
      // one that could not be received is the last.
      if (received.call === undefined) this.#isOver = true;
      if (isClaimed) this.#run(message.job, received);
      else this.#calls.refuse(received);
      hasRun = isClaimed;
    }
    if (this.#isOver && !this.#isBusy) void this.#leave();
    return false;
  }

  // It counts as busy until then: the job after the next one would find the
  // immediate, and take it for one that a job has left.
  #takeLater(): void {
    this.#isBusy = true;
    setImmediate(() => {
      this.#isBusy = false;
      if (this.#takeNext()) this.#takeLater();
    });
  }

  #run(job: number, received: ReceivedCall): void {
    this.#isBusy = true;
    this.#stateAfter = 'busy';
    if (this.#beganAt === 0) this.#send(job, { kind: 'none', state: 'busy' });
    this.#beganAt = now();
    this.answer = this.#answerTo(job);
    this.#meter?.next();
    const outcome = this.#calls.make(received);
    if (!(outcome instanceof Promise)) {
      this.#finish(job, outcome);
      return;
    }
    // A job whose promise never settles ends with the event loop.
    if (!this.#isOver) native.refWatch(this.#watch!, false);
    void outcome.then((settled) => {
      this.#finish(job, settled);
      if (!this.#isBusy) this.#goOn();
    });
  }

  #finish(job: number, outcome: Outcome): void {
    workerState.ambient!.endSignal?.();
    const isClean = this.#calls.leftovers.find() === undefined && !hasOutput();
    const isLast = isClean && this.#isUsedUp();
    this.#stateAfter = isLast ? 'last' : isClean ? 'free' : 'busy';
    workerState.slotNumber?.release();
    this.#sendUsage(job);
    if (isClean) leavePipes();
    this.answer.send(outcome);
    if (isLast) {
      void this.#leave();
    } else if (isClean) {
      process.exitCode = undefined;
      this.#isBusy = false;
    } else {
      void this.#settle(job);
    }
  }

  #sendUsage(job: number): void {
    const usage = this.#meter?.next();
    if (usage === undefined) return;
    this.#send(job, { kind: 'usage', state: 'busy' }, usage);
  }

  #isUsedUp(): boolean {
    return !this.#calls.isPrepared || this.#growth.isTooMuch();
  }

  /** Called where the job was not a step of `takeNext`. */
  #goOn(): void {
    if (!this.#isOver) native.refWatch(this.#watch!, true);
    this.#takeLater();
  }

  /** Waits for what the job has left behind. */
  async #settle(job: number): Promise<void> {
    await flushOutput();
    let left: string | undefined;
    for (let turn = 0; turn < mostTurns; turn++) {
      await new Promise<void>((resume) => {
        setImmediate(resume);
      });
      left = this.#calls.leftovers.find();
      if (left === undefined) break;
    }
    if (left === undefined && !this.#isUsedUp()) {
      leavePipes();
      this.#send(job, { kind: 'none', state: 'free' });
      process.exitCode = undefined;
      this.#goOn();
      return;
    }
    if (left !== undefined) {
      trace('job %d has left %s behind, so its process ends', job, left);
    }
    for (const busy of workerState.busy) {
      busy.refuse();
      await busy.drain();
    }
    leavePipes();
    this.#send(job, { kind: 'none', state: 'last' });
    await this.#leave();
  }

  async #leave(): Promise<void> {
    this.#isBusy = true;
    await end(this.#order.exit, this.answer);
  }

  #answerTo(job: number): Answer {
    return answerOn(this.#socket, (kind, content, files) => {
      const state = this.#stateAfter;
      try {
        this.#send(job, { kind, state }, content, files);
      } catch (error) {
        // The file of a large message could not be written.
        this.#send(job, { kind: 'error', state }, encodeThrown(error));
      }
    });
  }

  #send(
    job: number,
    report: Report,
    content: Encoded = '',
    enclosures?: readonly number[],
  ): void {
    const runTime = Math.round((now() - this.#beganAt) * 1000);
    const kind = packReport(report);
    const message = { kind, job, runTime, parts: [content], enclosures };
    // False when the submitter is gone, or a job has closed the socket.
    if (!this.#writer.send(this.#socket, message, true)) this.#isOver = true;
  }
}
