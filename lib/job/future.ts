// The outcome of one job, and who waits for it. It is settled once, when the
// worker is gone and its slot is back; then callbacks run in the order of their
// registration, then waiting calls go on in the order of theirs. A callback
// that throws stops this until somebody has taken the CallbackRaised.
import { AsyncResource } from 'node:async_hooks';
import { inspect } from 'node:util';
import {
  type Timer,
  at,
  deadlineAfter,
  pollTimeout,
  remaining,
} from '../system/deadline.js';
import {
  AbortError,
  Blocked,
  CallbackRaised,
  type Ending,
  LostResult,
  checkOptions,
  invalidArgument,
} from '../errors.js';
import type { Frame } from '../protocol/frame.js';
import type { Job } from './running-job.js';
import { selector } from '../system/selector.js';
import { type Signal, signalNumber } from '../system/signals.js';
import { decode, unsendable } from '../wire/value.js';
import { workerState } from '../protocol/worker-state.js';

/** Who else hands over what callbacks threw: the Jobserver of the future. */
export interface FutureOwner {
  /** Nobody waits on the future itself. */
  keepRaised(future: Future<unknown>): void;
  forgetRaised(future: Future<unknown>): void;
  /** Callbacks are left behind one that threw: to be issued by the next call, or else by the event loop. */
  keepStalled(future: Future<unknown>): void;
}

/** For the library itself: what only the submitter of a future may do. */
interface FutureControl {
  create(owner: FutureOwner): Future<unknown>;
  start(future: Future<unknown>, job: Job): void;
  /** The worker is gone; `frame` is undefined when it sent none. */
  settle(
    future: Future<unknown>,
    frame: Frame | undefined,
    ending: Ending,
  ): void;
  /** The outcome will be an AbortError, whatever the job still says. */
  abort(future: Future<unknown>, reason: unknown): void;
  takeRaised(future: Future<unknown>): CallbackRaised | undefined;
  /** Goes on with callbacks and waiting calls. */
  deliver(future: Future<unknown>): void;
}

export let futureControl: FutureControl;

/** How long to wait for a job, and with what. */
export interface WaitOptions {
  /** Milliseconds; absent: for ever, 0: only look. */
  timeout?: number | undefined;
  /** Sent before the wait begins, unless the job has finished. */
  killSignal?: Signal | undefined;
}

interface Callback {
  readonly seqno: number;
  readonly call: () => void;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  timer: Timer | undefined;
}

type Outcome =
  | { readonly isError: false; readonly value: unknown }
  | { readonly isError: true; readonly error: unknown };

const constructorKey = Symbol('constructor');

// An own property that structured clone refuses: a Future that crossed to a
// worker thread would be a dead object otherwise.
const notCloneable = (): never => {
  throw new Error('A Future belongs to the process that submitted the job');
};

/**
 * One submitted job. It cannot be copied to another process or thread, and it
 * is no thenable: awaiting `submit` gives the Future itself.
 */
export class Future<T> {
  static {
    futureControl = {
      create: (owner) => new Future(constructorKey, owner),
      start: (future, job) => {
        future.#job = job;
      },
      settle: (future, frame, ending) => {
        future.#settle(frame, ending);
      },
      abort: (future, reason) => {
        future.#aborted ??= new AbortError(reason);
      },
      takeRaised: (future) => future.#takeRaised(),
      deliver: (future) => {
        future.#deliver();
      },
    };
  }

  readonly #owner: FutureOwner;
  readonly #generation = workerState.generation;
  #job: Job | undefined;
  #isDone = false;
  /** Undefined once decoded, and while the job runs. */
  #frame: Frame | undefined;
  #ending: Ending | undefined;
  #aborted: AbortError | undefined;
  #outcome: Outcome | undefined;

  #seqno = 0;
  #callbacks: Callback[] = [];
  #isIssuing = false;
  #raised: CallbackRaised | undefined;
  #waiters: Set<Waiter> | undefined;

  /** @internal */
  readonly notCloneable = notCloneable;

  private constructor(key: symbol, owner: FutureOwner) {
    if (key !== constructorKey) throw new TypeError('Illegal constructor');
    this.#owner = owner;
  }

  /** Process id of the worker; undefined once the job has finished. */
  get pid(): number | undefined {
    return this.#job?.pid;
  }

  /**
   * Looks once, without waiting: would `result` settle at once?
   *
   * @throws CallbackRaised when a whenDone callback has thrown.
   */
  done(): boolean {
    this.#observe();
    return this.#isDone;
  }

  /**
   * Sends `killSignal`, if given, and waits for the job to finish.
   *
   * @returns true when it has finished, false when the time is up.
   * @throws CallbackRaised when a whenDone callback has thrown; TypeError or
   * RangeError for a timeout or signal that is none.
   */
  async wait(options: WaitOptions = {}): Promise<boolean> {
    const deadline = this.#begin(options);
    this.#observe();
    if (this.#isDone) return true;
    if (remaining(deadline) <= 0) return false;
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        resolve: () => {
          resolve(true);
        },
        reject,
        timer: undefined,
      };
      waiter.timer = at(deadline, () => {
        this.#waiters?.delete(waiter);
        resolve(this.#isDone);
      });
      (this.#waiters ??= new Set()).add(waiter);
    });
  }

  /** `wait` for callers without an event loop: blocks the thread. */
  waitSync(options: WaitOptions = {}): boolean {
    const deadline = this.#begin(options);
    for (;;) {
      this.#observe();
      if (this.#isDone) return true;
      if (remaining(deadline) <= 0) return false;
      selector.turn(pollTimeout(deadline));
    }
  }

  /**
   * The value of the job; the same one at each call.
   *
   * @throws what the job threw; LostResult when it ended without a result;
   * Blocked when the time is up first, and then the job goes on; AbortError
   * when its AbortSignal ended it; CallbackRaised as `wait` does.
   */
  async result(options: { timeout?: number | undefined } = {}): Promise<T> {
    const { timeout } = checkOptions(options);
    if (await this.wait({ timeout })) return this.#value();
    throw new Blocked(`No result within ${timeout} ms`);
  }

  /** `result` for callers without an event loop: blocks the thread. */
  resultSync(options: { timeout?: number | undefined } = {}): T {
    const { timeout } = checkOptions(options);
    if (this.waitSync({ timeout })) return this.#value();
    throw new Blocked(`No result within ${timeout} ms`);
  }

  /**
   * Sends a signal, SIGTERM by default.
   *
   * @returns false when the job has finished: a process that has taken over
   * the pid is never signalled.
   */
  kill(signal: Signal = 'SIGTERM'): boolean {
    const number = signalNumber(signal, 'signal');
    this.#checkOwner();
    if (this.#job === undefined) return false;
    this.#job.kill(number);
    return true;
  }

  /**
   * Calls fn(...args) once the job has finished; at once when it has. What the
   * callback returns is ignored: a promise is not waited for.
   *
   * @returns the number of the registration: 0, 1, 2, …
   * @throws CallbackRaised when fn is called at once and throws.
   */
  whenDone<A extends unknown[]>(fn: (...args: A) => void, ...args: A): number {
    if (typeof fn !== 'function') {
      throw invalidArgument('fn', 'a function', fn);
    }
    this.#checkOwner();
    const seqno = this.#seqno++;
    const resource = new AsyncResource('jobserver.whenDone');
    this.#callbacks.push({
      seqno,
      call: () => resource.runInAsyncScope(fn, undefined, ...args),
    });
    if (this.#isDone) {
      this.#issue();
      this.#throwRaised();
    }
    return seqno;
  }

  /** @internal */
  get [unsendable](): string {
    return 'a Future belongs to the process that submitted the job';
  }

  /** @internal */
  [inspect.custom](): string {
    const state = this.#isDone ? 'done' : 'running';
    return (
      `Future(${state}, callbacks=${this.#callbacks.length}, ` +
      `pid=${this.pid ?? null})`
    );
  }

  #begin(options: WaitOptions): number {
    const { timeout, killSignal } = checkOptions(options);
    const deadline = deadlineAfter(timeout);
    this.#checkOwner();
    if (killSignal !== undefined && killSignal !== null) {
      const number = signalNumber(killSignal, 'killSignal');
      this.#job?.kill(number);
    }
    return deadline;
  }

  // In a fork, the job is its parent's to wait for and to signal.
  #checkOwner(): void {
    if (this.#generation === workerState.generation) return;
    throw new Error('A Future belongs to the process that submitted the job');
  }

  #observe(): void {
    this.#checkOwner();
    this.#job?.advance();
    selector.flush();
    if (!this.#isDone) return;
    this.#issue();
    this.#throwRaised();
  }

  #settle(frame: Frame | undefined, ending: Ending): void {
    this.#job = undefined;
    this.#frame = frame;
    this.#ending = ending;
    this.#isDone = true;
    selector.later(() => {
      this.#deliver();
    });
  }

  #deliver(): void {
    for (;;) {
      this.#issue();
      if (this.#raised === undefined) break;
      const [first] = this.#waiters ?? [];
      if (first === undefined) {
        this.#owner.keepRaised(this);
        return;
      }
      this.#leave(first);
      first.reject(this.#takeRaised()!);
      // Its caller is to hear of it before the next callback runs.
      if (this.#waiters?.size === 0) return;
    }
    for (const waiter of this.#waiters ?? []) {
      this.#leave(waiter);
      waiter.resolve();
    }
  }

  #leave(waiter: Waiter): void {
    waiter.timer?.cancel();
    this.#waiters?.delete(waiter);
  }

  /** Runs callbacks up to the first that throws; those added meanwhile too. */
  #issue(): void {
    // A call from inside of a callback leaves the rest to the loop around it.
    if (this.#isIssuing || this.#raised !== undefined) return;
    this.#isIssuing = true;
    let next = 0;
    try {
      for (; next < this.#callbacks.length; next++) {
        this.#callbacks[next]!.call();
      }
    } catch (error) {
      this.#raised =
        error instanceof CallbackRaised
          ? error
          : new CallbackRaised(this.#callbacks[next]!.seqno, { cause: error });
      next += 1;
    } finally {
      this.#callbacks.splice(0, next);
      this.#isIssuing = false;
    }
  }

  #throwRaised(): void {
    // Inside of a callback there is nobody to hand an earlier failure to.
    if (this.#isIssuing) return;
    const raised = this.#takeRaised();
    if (raised !== undefined) throw raised;
  }

  #takeRaised(): CallbackRaised | undefined {
    const raised = this.#raised;
    if (raised === undefined) return undefined;
    this.#raised = undefined;
    this.#owner.forgetRaised(this);
    if (this.#callbacks.length > 0) this.#owner.keepStalled(this);
    return raised;
  }

  #value(): T {
    this.#outcome ??= this.#decode();
    if (this.#outcome.isError) throw this.#outcome.error;
    return this.#outcome.value as T;
  }

  #decode(): Outcome {
    const frame = this.#frame;
    this.#frame = undefined;
    if (this.#aborted !== undefined) {
      return { isError: true, error: this.#aborted };
    }
    const ending = this.#ending!;
    if (frame === undefined) {
      return { isError: true, error: ending.refusal ?? new LostResult(ending) };
    }
    try {
      const decoded = decode(frame.bytes);
      if (frame.kind === 'value') return { isError: false, value: decoded };
      if (frame.kind === 'error') return { isError: true, error: decoded };
      const lost = new LostResult(ending, { cause: decoded });
      return { isError: true, error: lost };
    } catch (error) {
      return { isError: true, error };
    }
  }
}
