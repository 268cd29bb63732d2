// A process that runs several jobs, one at a time, and what its submitter knows
// about the one it has. Only the job that the process has claimed is lost with
// it: an outcome in the socket counts, and a job that was sent but not claimed
// can run elsewhere.
import type { Ending } from '../errors.js';
import type { Claims } from '../protocol/claims.js';
import type { Frame } from '../protocol/frame.js';
import type { Message } from '../protocol/messages.js';
import type { Order } from '../protocol/order.js';
import { unpackReport } from '../protocol/worker-messages.js';
import type { Token } from '../slots/token.js';
import { SIGKILL, isFatal } from '../system/signals.js';
import { type AheadJob, AheadQueue } from './ahead-queue.js';
import { EndWatch } from './end-watch.js';
import { presentInheritance } from './inheritance.js';
import { JobAnswer } from './job-answer.js';
import { KillTimer } from './kill-timer.js';
import type { Worker } from './launcher.js';
import type { ProcessEvents, ProcessJob } from './process-job.js';
import { startServing } from './serving-worker.js';
import { Turn } from './turn.js';
import { WorkerSocket } from './worker-socket.js';

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
  /** While it has a job. */
  #turn: Turn | undefined;
  #hasAnswered = false;
  /** It has begun its first job. */
  #hasBegun = false;
  /** About the job that it runs. */
  readonly #answer = new JobAnswer();
  /** It gets no other job. */
  #isLeaving = false;
  /** After it was reaped, what it has written is read, and then it is gone. */
  #state: 'alive' | 'reaped' | 'gone' = 'alive';
  readonly #killTimer = new KillTimer(() => this.kill(SIGKILL));

  /** Starts the process as the order says. Throws when that fails. */
  constructor(order: Order, jobs: number, events: ProcessEvents) {
    this.#jobsLeft = jobs;
    this.#events = events;
    this.#socket = new WorkerSocket(
      () => this.advance(),
      (message) => this.#onMessage(message),
    );
    const { peer } = this.#socket;
    try {
      const { worker, claims } = startServing(order, peer.number);
      this.#worker = worker;
      this.#claims = claims;
      this.#ahead = new AheadQueue(claims);
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

  /**
   * Gives it a job, which is sent by `flush`, and takes over the token. False
   * when it cannot take the job.
   */
  run(job: ProcessJob, token: Token): boolean {
    if (this.#isLeaving || this.#socket.isOver) return false;
    if (!this.checkInheritance()) return false;
    const { order, streams } = job;
    const stdio = streams?.tryOpen();
    if (streams !== undefined && stdio === undefined) return this.retire();
    const { fd } = this.#socket;
    const number = this.#socket.nextNumber();
    this.#claims.offer(number);
    this.#turn = new Turn(token, this.#claims, fd, order.orphanSignal);
    this.#begin(job, number);
    this.#ahead.start(number);
    const { byte } = this.#turn;
    // It may have received a part of the message.
    if (!this.#socket.give(number, order, byte, stdio)) this.kill(SIGKILL);
    streams?.closeEnds();
    return true;
  }

  #begin(job: ProcessJob, number: number): void {
    this.#job = job;
    this.#number = number;
    this.#jobsLeft -= 1;
    if (this.#hasBegun) job.onBegun();
  }

  /**
   * Before jobs are given to it. False, and retires it, when a process that is
   * started now would inherit something else.
   */
  checkInheritance(): boolean {
    return this.#inheritance === presentInheritance() || this.retire();
  }

  /** How many more jobs it takes ahead, if it may have `window` of them. */
  roomFor(window: number): number {
    if (!this.takesAhead) return 0;
    return Math.min(window, this.#jobsLeft) - this.#ahead.size;
  }

  /** Whether it may have jobs besides the one that it runs. */
  get takesAhead(): boolean {
    if (!this.#hasAnswered || this.#isLeaving) return false;
    return this.#turn?.canPassOn === true;
  }

  /** Gives it jobs before they have a slot. False when it does not take it. */
  addAhead(job: AheadJob): boolean {
    return this.#ahead.offer(job, this.#socket, this.#turn!.byte);
  }

  /** Sends the jobs that it was given. */
  flush(): void {
    if (!this.#socket.isOver && !this.#socket.flush()) this.kill(SIGKILL);
  }

  /**
   * Before a signal for its job: takes back the jobs that it has not begun. It has
   * answered if it has begun another one; the answer is read, however large.
   */
  catchUp(): void {
    this.#ahead.recallAll();
    const job = this.#job;
    if (this.#ahead.size > 0) this.#socket.readSent(() => this.#job !== job);
    this.advance();
  }

  /** Takes back a job that was sent ahead. False when it has begun. */
  recallAhead(job: AheadJob): boolean {
    if (this.#ahead.recall(job)) return true;
    // The answers to the jobs before it are in the socket.
    this.advance();
    // If none is left, it was claimed too early: no worker of this library does so.
    if (this.#ahead.has(job) && !this.#socket.hasMore) this.kill(SIGKILL);
    return false;
  }

  /** Takes the job back. False when the process has begun it. */
  recall(): boolean {
    this.#ahead.recallAll();
    const token = this.#takeJobBack();
    if (token === undefined) return false;
    this.#jobsLeft += 1;
    token.give();
    this.#goOn();
    return true;
  }

  /** The token of a job that the process has not begun, and never will. */
  #takeJobBack(): Token | undefined {
    if (this.#job === undefined) return undefined;
    if (!this.#claims.recall(this.#number)) return undefined;
    this.#dropJob();
    return this.#endTurn();
  }

  /** Signals the process, which gets no other job if that may end it. */
  kill(signal: number, runTimeout = 0): void {
    if (this.#state !== 'alive') return;
    this.#ahead.recallAll();
    this.#worker.kill(signal, runTimeout);
    if (!isFatal(signal)) return;
    this.#isLeaving = true;
    this.#endWatch.await(this.#worker.exitFd);
  }

  /** Ends the process once it has no job. False, because it takes no other. */
  retire(): false {
    this.#isLeaving = true;
    this.#ahead.recallAll();
    if (this.#job === undefined) this.#goOn();
    return false;
  }

  /** Reads and reaps what is ready; never waits. */
  advance(): void {
    if (this.#state === 'alive') this.#readAndReap();
    else if (this.#state === 'gone') this.#awaitBorrowers();
  }

  #readAndReap(): void {
    this.#socket.read();
    // A job that begins may be ended at once, for which this method is called.
    if (this.#state !== 'alive') return;
    if (this.#socket.isBroken) this.kill(SIGKILL);
    // A borrower keeps the socket open, so that it may show no end. So may a child
    // of a job that was ended.
    if (!this.#socket.isOver && !this.#answer.isLender && !this.#isLeaving)
      return;
    const ending = this.#worker.reap();
    if (ending === undefined) {
      this.#endWatch.await(this.#worker.exitFd);
      if (this.#socket.isOver) this.#onSilence();
      return;
    }
    this.#state = 'reaped';
    // It can take no job.
    this.#isLeaving = true;
    this.#socket.readToEnd();
    this.#onReaped(ending);
  }

  /** The socket has ended before the process, which can begin no other job. */
  #onSilence(): void {
    this.#isLeaving = true;
    this.#ahead.recallAll();
    const job = this.#job;
    const token = this.#takeJobBack();
    if (token !== undefined) job!.onUnclaimed(token);
    if (this.#job === undefined) this.#leave();
  }

  #onMessage(message: Message): void {
    const report = unpackReport(message.kind);
    // A job that was recalled has no answer.
    if (report === undefined || message.job !== this.#number) return;
    if (this.#job === undefined) return;
    if (!this.#hasBegun) this.#job.onBegun();
    this.#hasBegun = true;
    const { kind, state } = report;
    const { arrivals } = this.#socket;
    this.#answer.add(kind, message, arrivals, this.#job);
    const { frame } = this.#answer;
    if (state === 'busy' || frame === undefined) return;
    if (state === 'last') this.#isLeaving = true;
    this.#events.onRun(message.runTime / 1000);
    this.#finish(this.#job, frame);
  }

  #finish(job: ProcessJob, frame: Frame): void {
    this.#hasAnswered = true;
    if (this.#isLeaving || this.#turn!.isOver) this.#ahead.recallAll();
    const next = this.#ahead.shift();
    const { usage } = this.#answer;
    this.#dropJob();
    if (next === undefined) {
      this.#endTurn().give();
      this.#goOn();
      job.onAnswer(frame, usage);
    } else {
      job.onAnswer(frame, usage);
      next.onTurn((started) => this.#begin(started, next.number));
    }
  }

  #endTurn(): Token {
    const token = this.#turn!.end();
    this.#turn = undefined;
    return token;
  }

  #dropJob(): void {
    this.#job = undefined;
    this.#answer.clear();
  }

  #goOn(): void {
    if (this.#jobsLeft <= 0) this.#isLeaving = true;
    if (this.#isLeaving) this.#leave();
    else this.#events.onFree();
  }

  /** It ends by itself at the end of its socket. */
  #leave(): void {
    if (this.#killTimer.isRunning || this.#state !== 'alive') return;
    this.#socket.close();
    this.#killTimer.start();
    this.#endWatch.await(this.#worker.exitFd);
  }

  #onReaped(ending: Ending): void {
    this.#state = 'gone';
    this.#endWatch.stop();
    this.#killTimer.stop();
    this.#worker.close();
    this.#ahead.recallAll();
    const job = this.#job;
    const token = this.#takeJobBack();
    this.#events.onGone(ending.usage);
    if (token === undefined) job?.onEnd(this.#answer.frame, ending);
    else job!.onUnclaimed(token);
    this.#awaitBorrowers();
    // It has claimed these out of turn.
    for (let next; (next = this.#ahead.shift()) !== undefined;) {
      const job = next.onTurn(() => undefined);
      job.onEnd(undefined, ending);
      job.onSlotFree(undefined);
    }
  }

  /** Frees the slot once no process runs in it: then the socket ends. */
  #awaitBorrowers(): void {
    const job = this.#job;
    const { fd } = this.#socket;
    if (this.#answer.isLender && this.#endWatch.awaitPeer(fd)) return;
    this.#endWatch.stop();
    const token = job && this.#endTurn();
    this.#socket.close();
    this.#job = undefined;
    job?.onSlotFree(token);
  }
}
