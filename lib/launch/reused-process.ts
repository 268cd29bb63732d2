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
  MessageReader,
  openMessageSockets,
  sendMessage,
} from '../protocol/messages.js';
import { type Order, packHeader, packWorkerBody } from '../protocol/order.js';
import { surroundingsOf } from '../protocol/surroundings.js';
import { unpackReport } from '../protocol/worker-messages.js';
import { Token } from '../slots/slot-pipe.js';
import { check, errno, native, systemError } from '../system/binding.js';
import type { Fd } from '../system/fd.js';
import { selector } from '../system/selector.js';
import { isFatal } from '../system/signals.js';
import { encodeThrown } from '../wire/value.js';
import { EndWatch } from './end-watch.js';
import { presentInheritance } from './inheritance.js';
import type { Worker } from './launcher.js';
import { launchers } from './launchers.js';

/** A job for a process that runs several. Each method is called at most once. */
export interface ProcessJob {
  readonly order: Order;
  /** Borrowed. The job gives it back when it is told that the slot is free. */
  readonly token: Token;
  /** Its slot is free, and the process lives on. */
  onAnswer(frame: Frame): void;
  /** The process has ended before it began the job. */
  onUnclaimed(): void;
  /** The process has ended; `frame` is what it has answered. */
  onEnd(frame: Frame | undefined, ending: Ending): void;
  /** Follows `onEnd` once no process runs in the slot. */
  onSlotFree(): void;
}

export interface ProcessEvents {
  /** It can take another job. */
  readonly onFree: (process: ReusedProcess) => void;
  readonly onGone: (process: ReusedProcess) => void;
}

// A process that has no job ends at the end of its socket. If it has not, it
// gets SIGKILL after this time.
const graceMs = 5000;
const { SIGKILL } = constants.signals;

// Numbers of jobs stay within this, and are re-used.
const mostNumber = 2 ** 30;

export class ReusedProcess {
  readonly #worker: Worker;
  readonly #socket: Fd;
  readonly #claims: Claims;
  readonly #events: ProcessEvents;
  readonly #reader = new MessageReader();
  readonly #endWatch = new EndWatch(() => this.advance());
  readonly #onPoll = (): void => this.advance();
  /** What it has inherited at its start. */
  readonly #inheritance = presentInheritance();
  #jobsLeft: number;
  #number = 0;
  #job: ProcessJob | undefined;
  #frame: Frame | undefined;
  /** The surroundings that the process has been sent last. */
  #surroundings: Buffer | undefined;
  /** A job of the process runs in the slot of its job. */
  #isLender = false;
  /** It gets no other job. */
  #isLeaving = false;
  /** Its socket has ended. */
  #isOver = false;
  #isGone = false;
  #killTimer: NodeJS.Timeout | undefined;

  /** Starts the process as the order says. Throws when that fails. */
  constructor(order: Order, jobs: number, events: ProcessEvents) {
    this.#jobsLeft = jobs;
    this.#events = events;
    const { own, peer } = openMessageSockets();
    this.#socket = own;
    try {
      check(native.setNonBlocking(own.number, true), 'prepare a socket');
      selector.add(own.number, () => {
        this.advance();
      });
      const { claims, file } = Claims.open();
      this.#claims = claims;
      try {
        const launcher = launchers[order.context];
        const workerOrder = orderOfWorker(order, file.number);
        this.#worker = launcher.launch(workerOrder, peer.number, Token.none());
      } finally {
        file.close();
      }
    } catch (error) {
      this.#closeSocket();
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
    if (this.#isLeaving || this.#isOver) return false;
    if (this.#inheritance !== presentInheritance()) {
      this.retire();
      return false;
    }
    this.#number = (this.#number % mostNumber) + 1;
    this.#job = job;
    this.#claims.offer(this.#number);
    this.#claims.setToken(job.token.ownByte);
    if (this.#send(job)) {
      this.#jobsLeft -= 1;
      return true;
    }
    // It does not read, or it has ended. Part of a message makes it useless.
    this.#isLeaving = true;
    this.recall();
    this.kill(SIGKILL);
    return false;
  }

  /** Takes the job back. False when the process has begun it. */
  recall(): boolean {
    if (this.#job === undefined || !this.#claims.recall(this.#number)) {
      return false;
    }
    // The process skips the message.
    this.#surroundings = undefined;
    this.#dropJob();
    this.#goOn();
    return true;
  }

  /** Signals the process, which gets no other job if that may end it. */
  kill(signal: number): void {
    if (this.#isGone) return;
    if (isFatal(signal)) this.#isLeaving = true;
    this.#worker.kill(signal);
  }

  /** Ends the process once it has no job. */
  retire(): void {
    this.#isLeaving = true;
    if (this.#job === undefined) this.#goOn();
  }

  /** Reads and reaps what is ready; never waits. */
  advance(): void {
    if (this.#isGone) {
      this.#awaitBorrowers();
      return;
    }
    this.#read();
    // A borrower keeps the socket open, so that it may show no end.
    if (!this.#isOver && !this.#isLender) return;
    const ending = this.#worker.reap();
    if (ending === undefined) {
      this.#endWatch.await(this.#worker.exitFd);
      return;
    }
    // What it has written since; it can take no job.
    this.#isLeaving = true;
    this.#read();
    this.#onReaped(ending);
  }

  #send({ order, token }: ProcessJob): boolean {
    const surroundings = surroundingsOf(order);
    const isKnown = surroundings === this.#surroundings;
    this.#surroundings = surroundings;
    const parts = isKnown ? order.body : [...order.body, surroundings];
    const message = {
      kind: 0,
      job: this.#number,
      parts: [packHeader(token, parts), ...parts],
    };
    return sendMessage(this.#socket.number, message, false);
  }

  #read(): void {
    if (this.#isOver) return;
    const isOpen = this.#reader.fill(this.#socket.number);
    do {
      for (let message; (message = this.#reader.next());) {
        this.#onMessage(message);
        if (this.#isOver) return;
      }
    } while (this.#reader.isReading && !isOpen);
    // A large result is read over several turns of the event loop.
    if (this.#reader.isReading) selector.poll(this.#onPoll);
    else selector.stopPolling(this.#onPoll);
    if (isOpen) return;
    this.#isOver = true;
    selector.remove(this.#socket.number);
    if (this.#reader.isBroken) this.kill(SIGKILL);
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
    this.#dropJob();
    this.#goOn();
    job.onAnswer(frame);
  }

  /** Before the token is given back. */
  #dropJob(): void {
    this.#claims.setToken(-1);
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
    if (this.#isOver || this.#isGone) return;
    this.#isOver = true;
    this.#closeSocket();
    this.#killTimer = setTimeout(() => {
      this.kill(SIGKILL);
    }, graceMs).unref();
    this.#endWatch.await(this.#worker.exitFd);
  }

  #onReaped(ending: Ending): void {
    this.#isGone = true;
    this.#endWatch.stop();
    clearTimeout(this.#killTimer);
    this.#worker.close();
    const job = this.#job;
    const frame = this.#frame;
    const isUnclaimed = job !== undefined && this.#claims.recall(this.#number);
    if (isUnclaimed || !this.#isLender) this.#closeSocket();
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
    const fd = this.#socket.number;
    if (fd >= 0) {
      const count = native.read(fd, new Uint8Array(1), 0, 1);
      if (count > 0 || count === -errno.EAGAIN) {
        this.#endWatch.await(fd);
        return;
      }
    }
    this.#endWatch.stop();
    this.#closeSocket();
    this.#job = undefined;
    job?.onSlotFree();
  }

  #closeSocket(): void {
    selector.stopPolling(this.#onPoll);
    selector.remove(this.#socket.number);
    this.#socket.close();
    this.#reader.close();
  }
}

function frameOf(kind: Frame['kind'], bytes: Buffer | undefined): Frame {
  if (bytes !== undefined) return { kind, bytes };
  const error = systemError(-errno.EMFILE, 'receive the result');
  return { kind: 'error', bytes: encodeThrown(error) };
}

/** The order of a worker that gets its jobs by messages. */
function orderOfWorker(order: Order, claimsFile: number): Order {
  const { context, preload, orphanSignal } = order;
  const slots = order.slotPipes.map((pipe) => pipe.count);
  const head = { hasClaims: true, slots, context, preload, orphanSignal };
  return { ...order, claimsFile, body: packWorkerBody({ head }) };
}
