// One job from the start of its process until the process is gone. In its
// result socket, a frame is the outcome, and end of file without one is a loss.
// This object owns the token, and gives it back once the worker is reaped and
// its fds are closed. If a job of the worker still runs in the slot then, the
// token waits for the end of the result socket, which that job keeps open. Without
// the resources for a process, the job keeps its token and waits for the end of
// another job. Driven by the selector, or by a caller of `advance`.
import type { Ending } from '../errors.js';
import type { FunctionRef } from '../functions/function-ref.js';
import { EndWatch, isHeld } from '../launch/end-watch.js';
import type { Worker } from '../launch/launcher.js';
import { launchers } from '../launch/launchers.js';
import { type Frame, FrameReader, prepareReader } from '../protocol/frame.js';
import type { Order } from '../protocol/order.js';
import type { Token } from '../slots/slot-pipe.js';
import { Fd, openSocketPair } from '../system/fd.js';
import { selector } from '../system/selector.js';
import { isFatal, signalName } from '../system/signals.js';
import { trace } from '../system/trace.js';
import type { JobRecord } from './record.js';
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

/** All that is needed to start a job, captured when it was submitted. */
export interface Plan {
  readonly order: Order;
  readonly reuse: Reuse | undefined;
  readonly signal: AbortSignal | undefined;
  readonly record: JobRecord;
  /** What the job imports. */
  readonly functions: readonly FunctionRef[];
  /** How many calls of a map it makes; 0 for another job. */
  readonly calls: number;
}

/** How a process is used for several jobs. */
export interface Reuse {
  /** How many jobs a process runs, above 1; may be Infinity. */
  readonly jobsPerProcess: number;
  /** Milliseconds that a process lives on without a job. */
  readonly idleTimeout: number;
}

/** A job in a process. */
export interface Job {
  /** Undefined while it has no process. */
  readonly pid: number | undefined;
  /** Handles what has happened; never waits. */
  advance(): void;
  /** False when the job has finished, and gets no signal. */
  kill(signal: number): boolean;
  /** Sends the signal, by default SIGTERM, and SIGKILL after a grace period. */
  terminate(signal?: number): void;
}

/** Who is notified about a job. */
export interface JobEvents {
  /** Follows `onGone` where a lender has ended before its borrower. */
  readonly onSlotFree: () => void;
  readonly onGone: (frame: Frame | undefined, ending: Ending) => void;
}

export const neverBegan = { pid: 0, exitCode: null, signal: null } as const;

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
  #isGone = false;
  /** Of the worker, or later of its borrowers. */
  readonly #endWatch = new EndWatch(() => this.advance());
  readonly #termination = new Termination(this);
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
    // A borrower keeps the socket open, so that it may show no end.
    if (this.#outcome === undefined && !this.#isLender) return;
    const ending = this.#worker.reap();
    if (ending === undefined) {
      this.#endWatch.await(this.#worker.exitFd);
      return;
    }
    // What the worker has written since.
    this.#read();
    this.#outcome ??= 'end';
    this.#onReaped(ending);
  }

  kill(signal: number): boolean {
    if (this.#isGone) return false;
    if (this.#worker !== undefined) {
      this.#worker.kill(signal);
    } else if (isFatal(signal)) {
      stopAwaitingEnd(this);
      this.#end({ ...neverBegan, signal: signalName(signal) });
    }
    return true;
  }

  terminate(signal?: number): void {
    this.#termination.start(signal);
  }

  #start(): void {
    try {
      this.#launch();
    } catch (error) {
      if (!freeDescriptors(error)) throw error;
      this.#launch();
    }
  }

  #launch(): void {
    const { order } = this.#plan;
    const { reader, writer } = openSocketPair('the result socket');
    try {
      prepareReader(reader.number);
      // Before the launch, because nothing may fail after it.
      selector.add(reader.number, () => {
        this.advance();
      });
      this.#token.bindTo(reader.number, order.orphanSignal);
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
    this.#dropFrames();
    selector.remove(this.#reader.number);
  }

  #onReaped(ending: Ending): void {
    this.#endWatch.stop();
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
    const outcome = this.#outcome === 'end' ? undefined : this.#outcome;
    const hasStarted = this.#worker !== undefined;
    this.#isGone = true;
    this.#dropFrames();
    this.#termination.stop();
    selector.remove(this.#reader.number);
    if (this.#isLender) this.#awaitBorrowers();
    else this.#free();
    this.#events.onGone(outcome, ending);
    if (hasStarted) removeEnded();
  }

  /** Frees the slot once no process runs in it: then the socket ends. */
  #awaitBorrowers(): void {
    const fd = this.#reader.number;
    if (fd < 0) return;
    if (isHeld(fd)) {
      this.#endWatch.await(fd);
    } else {
      this.#endWatch.stop();
      this.#free();
    }
  }

  #free(): void {
    this.#reader.close();
    this.#token.give();
    this.#events.onSlotFree();
  }
}
