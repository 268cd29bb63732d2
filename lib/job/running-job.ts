// One job from the start of its process until the process is gone. In its
// result socket, a frame is the outcome, and end of file without one is a loss.
// This object owns the token, and gives it back once the worker is reaped and
// its fds are closed. If a job of the worker still runs in the slot then, the
// token waits for the end of the result socket, which that job keeps open. Without
// the resources for a process, the job keeps its token and waits for the end of
// another job. Driven by the selector, or by a caller of `advance`.
import type { Ending } from '../errors.js';
import { EndWatch } from '../launch/end-watch.js';
import type { Worker } from '../launch/launcher.js';
import type { Frame } from '../protocol/frame.js';
import { FrameReader } from '../protocol/frame-reader.js';
import { orderOfAttempt } from '../protocol/order.js';
import type { Token } from '../slots/token.js';
import { Fd } from '../system/fd.js';
import { selector } from '../system/selector.js';
import { isFatal, signalName } from '../system/signals.js';
import { trace } from '../system/trace.js';
import { startAttempt } from './attempt.js';
import {
  type Job,
  type JobEvents,
  type Plan,
  isToRetry,
  neverBegan,
} from './plan.js';
import {
  addStarted,
  awaitEnd,
  freeDescriptors,
  isShortage,
  removeEnded,
  removeRefused,
  retryIfNoneRuns,
  stopAwaitingEnd,
} from './shortage.js';
import { Termination } from './termination.js';

export class RunningJob implements Job {
  readonly #plan: Plan;
  readonly #token: Token;
  readonly #events: JobEvents;
  /** Undefined while the job waits for resources. */
  #worker: Worker | undefined;
  /**
   * Open until the slot is free: a worker whose socket has no reader assumes a
   * dead submitter and gives the token back.
   */
  #reader = new Fd(-1);
  #frames: FrameReader | undefined;
  #outcome: Frame | 'end' | undefined;
  #isLender = false;
  /** It was sent a signal that may end it. */
  #isEnding = false;
  #isGone = false;
  #attempt: number;
  /** How the last attempt has ended, while a job of its own runs in the slot. */
  #lost: Ending | undefined;
  /** Whether its time counts, or need not. */
  #isTimed: boolean;
  /** Of the worker, or later of its borrowers. */
  readonly #endWatch = new EndWatch(() => this.advance());
  #termination: Termination | undefined;
  #restarts = 3;

  /**
   * Starts the process. Takes over the token: if nothing can be started, it is
   * given back before the error is thrown. `attempt`: from 1.
   */
  constructor(plan: Plan, token: Token, events: JobEvents, attempt = 1) {
    this.#plan = plan;
    this.#token = token.move();
    this.#events = events;
    this.#attempt = attempt;
    this.#isTimed = plan.bounds.runTimeout === Infinity;
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
    const pid = this.#worker?.pid;
    // It may have waited for the report that the process has begun the job.
    this.#noteBegin();
    return pid;
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
    if (this.#lost !== undefined) {
      this.#startAgain();
      return;
    }
    if (this.#worker === undefined) return;
    this.#noteBegin();
    this.#read();
    // A borrower, or a child of a job that was ended, keeps the socket open.
    const isOpen = this.#outcome === undefined;
    if (isOpen && !this.#isLender && !this.#isEnding) return;
    const ending = this.#worker.reap();
    if (ending === undefined) {
      this.#endWatch.await(this.#worker.exitFd);
      return;
    }
    // What the worker has written since.
    this.#read(true);
    this.#outcome ??= 'end';
    this.#onReaped(ending);
  }

  kill(signal: number, runTimeout = 0): boolean {
    if (this.#isGone) return false;
    if (this.#lost !== undefined) {
      if (isFatal(signal)) this.#end(this.#lost);
    } else if (this.#worker !== undefined) {
      this.#worker.kill(signal, runTimeout);
      this.#noteBegin();
      if (isFatal(signal)) this.#isEnding = true;
      if (this.#isEnding) this.#endWatch.await(this.#worker.exitFd);
    } else if (isFatal(signal)) {
      stopAwaitingEnd(this);
      this.#end({ ...neverBegan, signal: signalName(signal) });
    }
    return true;
  }

  terminate(signal?: number, runTimeout?: number): void {
    if (this.#isGone) return;
    this.#events.streams?.hurry();
    this.#termination ??= new Termination(this, this.#plan.bounds.killGrace);
    this.#termination.start(signal, runTimeout);
  }

  /** The time of the job counts once its process has begun it. */
  #noteBegin(): void {
    const worker = this.#worker;
    if (this.#isTimed || worker === undefined) return;
    if (worker.hasBegun) {
      this.#isTimed = true;
      this.#endWatch.stop();
      this.#events.onBegun();
    } else {
      this.#endWatch.await(worker.exitFd);
    }
  }

  #start(): void {
    try {
      this.#launch();
    } catch (error) {
      if (!freeDescriptors(error)) throw error;
      this.#launch();
    }
    if (this.#attempt > 1) this.#plan.record.startedAgain();
    this.#noteBegin();
  }

  #launch(): void {
    const order = orderOfAttempt(this.#plan.order, this.#attempt);
    const { streams } = this.#events;
    const onReady = (): void => {
      this.advance();
    };
    const attempt = startAttempt(order, this.#token, streams, onReady);
    this.#worker = attempt.worker;
    this.#reader = attempt.reader;
    addStarted();
    if (trace.enabled) trace('job %d started', this.pid);
  }

  #read(toEnd = false): void {
    if (this.#outcome !== undefined) return;
    this.#frames ??= new FrameReader(this.#events);
    this.#outcome = this.#frames.read(this.#reader.number, toEnd);
    this.#isLender ||= this.#frames.hasLent;
    if (this.#outcome === undefined) return;
    this.#dropFrames();
    selector.remove(this.#reader.number);
  }

  #onReaped(ending: Ending): void {
    this.#endWatch.stop();
    this.#worker!.close();
    if (ending.usage !== undefined) this.#events.onEnded(ending.usage);
    const { neverBegan: isUnused = false, refusal } = ending;
    const isOwnEnd = refusal === undefined && !this.#isEnding;
    if (isOwnEnd && isToRetry(this.#plan, this.#attempt, this.#frame)) {
      this.#lost = ending;
      // From here on, the end of this socket shows that the last borrower has ended.
      selector.remove(this.#reader.number);
      this.#events.onRetry();
      this.#startAgain();
      return;
    }
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

  get #frame(): Frame | undefined {
    return this.#outcome === 'end' ? undefined : this.#outcome;
  }

  /** In the same slot, once no job of the last attempt runs in it. */
  #startAgain(): void {
    const fd = this.#reader.number;
    if (this.#isLender && this.#endWatch.awaitPeer(fd)) return;
    this.#endWatch.stop();
    this.#lost = undefined;
    this.#isLender = false;
    this.#attempt += 1;
    this.#discard();
    if (!this.retry()) awaitEnd(this);
    retryIfNoneRuns();
  }

  /** Forgets a process that has not begun the job, or has lost it. */
  #discard(): void {
    this.#worker = undefined;
    this.#outcome = undefined;
    this.#isTimed = this.#plan.bounds.runTimeout === Infinity;
    this.#dropFrames();
    selector.remove(this.#reader.number);
    this.#reader.close();
    removeRefused();
  }

  #dropFrames(): void {
    this.#frames?.close();
    this.#frames = undefined;
  }

  #refuse(refusal: Error): void {
    this.#end({ ...neverBegan, refusal });
  }

  #end(ending: Ending): void {
    const frame = this.#frame;
    const attempts = this.#attempt;
    const last = attempts > 1 ? { ...ending, attempts } : ending;
    this.#lost = undefined;
    this.#isGone = true;
    this.#dropFrames();
    this.#termination?.stop();
    this.#endWatch.stop();
    selector.remove(this.#reader.number);
    if (this.#isLender) this.#awaitBorrowers();
    else this.#free();
    this.#events.onGone(frame, last);
    if (this.#worker !== undefined) removeEnded();
  }

  /** Frees the slot once no process runs in it: then the socket ends. */
  #awaitBorrowers(): void {
    const fd = this.#reader.number;
    if (fd >= 0 && !this.#endWatch.awaitPeer(fd)) this.#free();
  }

  #free(): void {
    this.#reader.close();
    this.#token.give();
    this.#events.onSlotFree();
  }
}
