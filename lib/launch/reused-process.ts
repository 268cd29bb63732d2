// A process that runs several jobs, one at a time, and what its submitter knows
// about the one it has. Only the job that the process has claimed is lost with
// it: an outcome in the socket counts, and a job that was sent but not claimed
// can run elsewhere.
import { clearTimeout, setTimeout } from 'node:timers';
import { constants } from 'node:os';
import type { Ending } from '../errors.js';
import { Claims } from '../protocol/claims.js';
import type { Frame } from '../protocol/frame.js';
import {
  type Message,
  type OutgoingMessage,
  lengthOf,
} from '../protocol/messages.js';
import { type Order, orderOfWorker } from '../protocol/order.js';
import { frameOf, unpackReport } from '../protocol/worker-messages.js';
import { Token, noSlot } from '../slots/slot-pipe.js';
import { native } from '../system/binding.js';
import { now } from '../system/deadline.js';
import { isFatal } from '../system/signals.js';
import { type AheadEntry, type AheadJob, AheadQueue } from './ahead-queue.js';
import { EndWatch, isHeld } from './end-watch.js';
import { presentInheritance } from './inheritance.js';
import type { Worker } from './launcher.js';
import { launchers } from './launchers.js';
import type { ProcessJob } from './process-job.js';
import { WorkerSocket } from './worker-socket.js';

export interface ProcessEvents {
  /** A job has been answered after `ms` milliseconds. */
  readonly onRun: (ms: number) => void;
  /** It can take another job. */
  readonly onFree: (process: ReusedProcess) => void;
  readonly onGone: (process: ReusedProcess) => void;
}

// A process that has no job ends at the end of its socket. If it has not, it
// gets SIGKILL after this time.
const graceMs = 5000;
const { SIGKILL } = constants.signals;

// How long a process keeps its slot for jobs that were sent ahead.
const turnMs = 10;

export class ReusedProcess {
  readonly #worker: Worker;
  readonly #socket: WorkerSocket;
  readonly #claims: Claims;
  readonly #events: ProcessEvents;
  readonly #endWatch = new EndWatch(() => this.advance());
  /** What it has inherited at its start. */
  readonly #inheritance = presentInheritance();
  #jobsLeft: number;
  readonly #ahead: AheadQueue;
  #job: ProcessJob | undefined;
  /** Of the job that it runs. */
  #number = 0;
  #beganAt = 0;
  /** After this time, others get their turn. */
  #turnEnd = 0;
  #hasAnswered = false;
  #frame: Frame | undefined;
  /** A job of the process runs in the slot of its job. */
  #isLender = false;
  /** It gets no other job. */
  #isLeaving = false;
  #isGone = false;
  #killTimer: NodeJS.Timeout | undefined;

  /** Starts the process as the order says. Throws when that fails. */
  constructor(order: Order, jobs: number, events: ProcessEvents) {
    this.#jobsLeft = jobs;
    this.#events = events;
    this.#socket = new WorkerSocket(
      () => this.advance(),
      (message) => {
        this.#onMessage(message);
      },
    );
    const { peer } = this.#socket;
    try {
      const { claims, file } = Claims.open();
      this.#claims = claims;
      this.#ahead = new AheadQueue(claims);
      try {
        const launcher = launchers[order.context];
        const workerOrder = orderOfWorker(order, file.number);
        this.#worker = launcher.launch(workerOrder, peer.number, Token.none());
      } finally {
        file.close();
      }
    } catch (error) {
      this.#socket.close();
      throw error;
    } finally {
      peer.close();
    }
  }

  get pid(): number {
    return this.#worker.pid;
  }

  /** False when it cannot take the job. */
  run(job: ProcessJob): boolean {
    if (this.#isLeaving || this.#socket.isOver) return false;
    if (this.#inheritance !== presentInheritance()) {
      this.retire();
      return false;
    }
    const message = this.#socket.pack(job.order, job.token.byte);
    this.#number = message.job;
    this.#claims.offer(this.#number);
    this.#turnEnd = now() + turnMs;
    job.token.bindTo(this.#socket.fd, job.order.orphanSignal);
    this.adopt(job);
    if (this.#socket.send(message)) return true;
    // Ends it, because it may have received a part of the message.
    this.kill(SIGKILL);
    this.recall();
    return false;
  }

  /** The job that has got its turn is this one, which has its token. */
  adopt(job: ProcessJob): void {
    this.#job = job;
    this.#jobsLeft -= 1;
    this.#beganAt = now();
    this.#claims.setToken(Math.max(-1, job.token.byte));
  }

  /** How many more jobs it takes ahead, if it may have `window` of them. */
  roomFor(window: number): number {
    if (!this.#hasAnswered || this.#isLeaving) return 0;
    // A job without a slot can pass on none.
    if ((this.#job?.token.byte ?? noSlot) === noSlot) return 0;
    if (now() >= this.#turnEnd) return 0;
    return Math.min(window, this.#jobsLeft) - this.#ahead.size;
  }

  /** Sends jobs before they have a slot. Large ones are taken back at once. */
  sendAhead(jobs: readonly AheadJob[]): void {
    if (this.#inheritance !== presentInheritance()) this.retire();
    const byte = this.#job?.token.byte ?? noSlot;
    const messages: OutgoingMessage[] = [];
    for (const job of jobs) {
      const message = this.#socket.pack(job.order, byte);
      const entry = { job, number: message.job, length: lengthOf(message) };
      if (!this.#isLeaving && this.#ahead.tryAdd(entry)) {
        messages.push(message);
      } else {
        this.#socket.drop();
        job.onReturn();
      }
    }
    if (messages.length === 0) return;
    if (this.#socket.sendSmall(messages)) return;
    this.kill(SIGKILL);
  }

  /** Takes back the jobs that it was sent ahead and has not begun. */
  recallAllAhead(): void {
    this.#ahead.recallAll();
  }

  /** Takes back a job that was sent ahead. False when it has begun. */
  recallAhead(job: AheadJob): boolean {
    if (this.#ahead.recall(job)) return true;
    // The answer to the job before is in the socket.
    this.advance();
    return false;
  }

  /** Takes the job back. False when the process has begun it. */
  recall(): boolean {
    this.#ahead.recallAll();
    if (this.#job === undefined || !this.#claims.recall(this.#number)) {
      return false;
    }
    this.#jobsLeft += 1;
    this.#releaseToken();
    this.#dropJob();
    this.#goOn();
    return true;
  }

  /** Signals the process, which gets no other job if that may end it. */
  kill(signal: number): void {
    if (this.#isGone) return;
    this.#ahead.recallAll();
    if (isFatal(signal)) this.#isLeaving = true;
    this.#worker.kill(signal);
  }

  /** Ends the process once it has no job. */
  retire(): void {
    this.#isLeaving = true;
    this.#ahead.recallAll();
    if (this.#job === undefined) this.#goOn();
  }

  /** Reads and reaps what is ready; never waits. */
  advance(): void {
    if (this.#isGone) {
      this.#awaitBorrowers();
      return;
    }
    this.#socket.read();
    if (this.#socket.isBroken) this.kill(SIGKILL);
    // A borrower keeps the socket open, so that it may show no end.
    if (!this.#socket.isOver && !this.#isLender) return;
    const ending = this.#worker.reap();
    if (ending === undefined) {
      this.#endWatch.await(this.#worker.exitFd);
      return;
    }
    // What it has written since; it can take no job.
    this.#isLeaving = true;
    this.#socket.read(true);
    this.#onReaped(ending);
  }

  #onMessage({ kind: code, job: number, bytes }: Message): void {
    const report = unpackReport(code);
    // A job that was recalled has no answer.
    if (report === undefined || number !== this.#number) return;
    if (this.#job === undefined) return;
    const { kind, state } = report;
    if (kind === 'lends') this.#isLender = true;
    else if (kind !== 'none') this.#frame ??= frameOf(kind, bytes);
    if (state === 'busy' || this.#frame === undefined) return;
    if (state === 'last') this.#isLeaving = true;
    this.#finish(this.#job, this.#frame);
  }

  #finish(job: ProcessJob, frame: Frame): void {
    this.#hasAnswered = true;
    this.#events.onRun(now() - this.#beganAt);
    const next = this.#nextAhead();
    this.#dropJob();
    if (next === undefined) {
      this.#releaseToken();
      this.#goOn();
      job.onAnswer(frame);
      return;
    }
    const token = job.passToken();
    job.onAnswer(frame);
    this.#number = next.number;
    next.job.onTurn(token);
  }

  /** The job that runs next in the slot. */
  #nextAhead(): AheadEntry | undefined {
    if (this.#isLeaving || now() >= this.#turnEnd) this.#ahead.recallAll();
    return this.#ahead.shift();
  }

  /** Before the job gives it back. */
  #releaseToken(): void {
    this.#claims.setToken(-1);
    native.unbindToken(this.#socket.fd);
  }

  #dropJob(): void {
    this.#job = undefined;
    this.#frame = undefined;
    this.#isLender = false;
  }

  #goOn(): void {
    if (this.#jobsLeft <= 0) this.#isLeaving = true;
    if (this.#isLeaving) this.#leave();
    else this.#events.onFree(this);
  }

  #leave(): void {
    if (this.#socket.isOver || this.#isGone) return;
    this.#socket.close();
    const kill = (): void => this.kill(SIGKILL);
    this.#killTimer = setTimeout(kill, graceMs).unref();
    this.#endWatch.await(this.#worker.exitFd);
  }

  #onReaped(ending: Ending): void {
    this.#isGone = true;
    this.#endWatch.stop();
    clearTimeout(this.#killTimer);
    this.#worker.close();
    const job = this.#job;
    const frame = this.#frame;
    this.#ahead.recallAll();
    const isUnclaimed = job !== undefined && this.#claims.recall(this.#number);
    if (isUnclaimed || !this.#isLender) this.#socket.close();
    this.#events.onGone(this);
    if (isUnclaimed) {
      job.onUnclaimed();
    } else {
      job?.onEnd(frame, ending);
      this.#awaitBorrowers();
    }
  }

  /** Frees the slot once no process runs in it: then the socket ends. */
  #awaitBorrowers(): void {
    const job = this.#job;
    if (isHeld(this.#socket.fd)) {
      this.#endWatch.await(this.#socket.fd);
      return;
    }
    this.#endWatch.stop();
    this.#socket.close();
    this.#job = undefined;
    job?.onSlotFree();
  }
}
