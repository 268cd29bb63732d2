// One job from the start of its process until the process is gone. In its
// result pipe, a frame is the outcome, and end of file without one is a loss.
// This object owns the token, and gives it back once the worker is reaped and
// its fds are closed. If a job of the worker still runs in the slot then, the
// token waits for the end of the result pipe, which that job keeps open. Without
// the resources for a process, the job keeps its token and waits for the end of
// another job. Driven by the selector, or by a caller of `advance`.
import { constants } from 'node:os';
import { clearTimeout, setTimeout } from 'node:timers';
import type { Ending } from '../errors.js';
import type { Worker } from '../launch/launcher.js';
import { launchers } from '../launch/launchers.js';
import { type Frame, FrameReader, prepareReader } from '../protocol/frame.js';
import type { Order } from '../protocol/order.js';
import type { Token } from '../slots/slot-pipe.js';
import { errno, native } from '../system/binding.js';
import { Fd, openPipe } from '../system/fd.js';
import { selector } from '../system/selector.js';
import { isFatal, signalName } from '../system/signals.js';
import { trace } from '../system/trace.js';
import type { JobRecord } from './record.js';
import {
  addStarted,
  awaitEnd,
  isShortage,
  removeEnded,
  removeRefused,
  retryIfNoneRuns,
  stopAwaitingEnd,
} from './shortage.js';

/** All that is needed to start a job, captured when it was submitted. */
export interface Plan {
  readonly order: Order;
  readonly signal: AbortSignal | undefined;
  readonly record: JobRecord;
}

/** Who is notified about a job. */
export interface JobEvents {
  /** Follows `onGone` where a lender has ended before its borrower. */
  readonly onSlotFree: () => void;
  readonly onGone: (frame: Frame | undefined, ending: Ending) => void;
}

// An aborted job has this long to end after SIGTERM, then it gets SIGKILL.
const graceMs = 5000;
const neverBegan = { pid: 0, exitCode: null, signal: null } as const;
const { SIGTERM, SIGKILL } = constants.signals;

export class RunningJob {
  readonly #plan: Plan;
  readonly #token: Token;
  readonly #events: JobEvents;
  /** Undefined while the job waits for resources. */
  #worker: Worker | undefined;
  /**
   * Open until the slot is free: a worker whose pipe has no reader assumes a
   * dead submitter and gives the token back.
   */
  #reader = new Fd(-1);
  #frames: FrameReader | undefined;
  #outcome: Frame | 'end' | undefined;
  #isLender = false;
  #isGone = false;
  /** The fd that shows the end of the worker, or later of its borrowers. */
  #endFd: number | undefined;
  #killTimer: NodeJS.Timeout | undefined;
  #restarts = 3;

  /**
   * Starts the process. Takes over the token: if nothing can be started, it is
   * given back before the error is thrown.
   */
  constructor(plan: Plan, token: Token, events: JobEvents) {
    this.#plan = plan;
    this.#token = token.move();
    this.#events = events;
    try {
      this.#start();
    } catch (error) {
      if (isShortage(error)) {
        awaitEnd(this);
        return;
      }
      this.#token.give();
      throw error;
    }
  }

  /** Undefined while the job waits for resources. */
  get pid(): number | undefined {
    return this.#worker?.pid;
  }

  /** Called when another job has ended. False while resources are missing. */
  retry(): boolean {
    try {
      this.#start();
    } catch (error) {
      if (isShortage(error)) return false;
      this.#refuse(error as Error);
    }
    return true;
  }

  /** Reads and reaps what is ready; never waits. */
  advance(): void {
    if (this.#isGone) {
      this.#awaitBorrowers();
      return;
    }
    if (this.#worker === undefined) return;
    this.#read();
    // A borrower keeps the pipe open, so that it may show no end.
    if (this.#outcome === undefined && !this.#isLender) return;
    const ending = this.#worker.reap();
    if (ending === undefined) {
      this.#await(this.#worker.exitFd);
      return;
    }
    // What the worker has written since.
    this.#read();
    this.#outcome ??= 'end';
    this.#onReaped(ending);
  }

  kill(signal: number): void {
    if (this.#isGone) return;
    if (this.#worker !== undefined) {
      this.#worker.kill(signal);
    } else if (isFatal(signal)) {
      stopAwaitingEnd(this);
      this.#end({ ...neverBegan, signal: signalName(signal) });
    }
  }

  /** Sends SIGTERM, and SIGKILL after a grace period. */
  terminate(): void {
    this.kill(SIGTERM);
    this.#killTimer ??= setTimeout(() => {
      this.kill(SIGKILL);
    }, graceMs).unref();
  }

  #start(): void {
    const { order } = this.#plan;
    const { reader, writer } = openPipe('result pipe');
    try {
      prepareReader(reader.number);
      // Before the launch, because nothing may fail after it.
      selector.add(reader.number, () => {
        this.advance();
      });
      const launcher = launchers[order.context];
      this.#worker = launcher.launch(order, writer.number, this.#token);
      this.#reader = reader;
      addStarted();
      if (trace.enabled) trace('job %d started', this.pid);
    } catch (error) {
      selector.remove(reader.number);
      reader.close();
      throw error;
    } finally {
      writer.close();
    }
  }

  #read(): void {
    if (this.#outcome !== undefined) return;
    this.#frames ??= new FrameReader();
    this.#outcome = this.#frames.read(this.#reader.number);
    this.#isLender ||= this.#frames.hasLent;
    if (this.#outcome === undefined) return;
    this.#frames = undefined;
    selector.remove(this.#reader.number);
  }

  #onReaped(ending: Ending): void {
    this.#stopAwaiting();
    this.#worker!.close();
    const { neverBegan: isUnused = false, refusal } = ending;
    if (refusal === undefined || this.#plan.signal?.aborted === true) {
      this.#end(ending);
      return;
    }
    this.#discard();
    if (isUnused && this.#restarts > 0) {
      this.#restarts -= 1;
      if (!this.retry()) awaitEnd(this);
    } else if (isShortage(refusal)) {
      awaitEnd(this);
    } else {
      this.#refuse(refusal);
    }
    retryIfNoneRuns();
  }

  /** Forgets a process that has not begun the job. */
  #discard(): void {
    this.#worker = undefined;
    this.#outcome = undefined;
    selector.remove(this.#reader.number);
    this.#reader.close();
    removeRefused();
  }

  #refuse(refusal: Error): void {
    this.#end({ ...neverBegan, refusal });
  }

  #end(ending: Ending): void {
    const outcome = this.#outcome === 'end' ? undefined : this.#outcome;
    const hasStarted = this.#worker !== undefined;
    this.#isGone = true;
    clearTimeout(this.#killTimer);
    selector.remove(this.#reader.number);
    if (this.#isLender) this.#awaitBorrowers();
    else this.#free();
    this.#events.onGone(outcome, ending);
    if (hasStarted) removeEnded();
  }

  /** Frees the slot once no process runs in it: then the pipe ends. */
  #awaitBorrowers(): void {
    const fd = this.#reader.number;
    if (fd < 0) return;
    const count = native.read(fd, new Uint8Array(1), 0, 1);
    if (count > 0 || count === -errno.EAGAIN) {
      this.#await(fd);
    } else {
      this.#stopAwaiting();
      this.#free();
    }
  }

  #free(): void {
    this.#reader.close();
    this.#token.give();
    this.#events.onSlotFree();
  }

  #await(fd: number): void {
    if (fd === this.#endFd) return;
    this.#stopAwaiting();
    this.#endFd = fd;
    if (fd < 0 || !selector.tryAdd(fd, this.#poll)) selector.poll(this.#poll);
  }

  #stopAwaiting(): void {
    if (this.#endFd !== undefined) selector.remove(this.#endFd);
    this.#endFd = undefined;
    selector.stopPolling(this.#poll);
  }

  readonly #poll = (): void => this.advance();
}
