// The outcome of one job, its callbacks and the calls that wait for it. It is
// settled once, when the worker is gone and its slot is free. Then the
// callbacks run, then the waiting calls continue, each in the order of
// registration. A callback that throws stops this until a caller has received
// its error.
import { AsyncResource } from 'node:async_hooks';
import { inspect } from 'node:util';
import {
  type Timer,
  deadlineAfter,
  onDeadline,
  pollTimeout,
  remaining,
} from '../system/deadline.js';
import {
  Blocked,
  CallbackRaised,
  type Ending,
  LostResult,
  invalidArgument,
} from '../errors.js';
import type { KeptOutput } from '../output/job-streams.js';
import type { Frame } from '../protocol/frame.js';
import type { Job } from './plan.js';
import { type OptionNames, checkOptions } from '../system/options.js';
import { Link, List } from '../system/list.js';
import { selector } from '../system/selector.js';
import { type Signal, signalNumber } from '../system/signals.js';
import { decode, unsendable } from '../wire/value.js';
import { workerState } from '../protocol/worker-state.js';
import type { JobUsage } from '../usage.js';

/** Keeps the errors of callbacks that no call on the future has received. */
export interface FutureOwner {
  /** The future holds an error, and no call waits on it. */
  keepRaised(future: Future<unknown>): void;
  forgetRaised(future: Future<unknown>): void;
  /** The error was received, and callbacks behind it still have to run. */
  keepStalled(future: Future<unknown>): void;
}

/** What only the library itself may do with a future. */
interface FutureControl {
  create(owner: FutureOwner): Future<unknown>;
  start(future: Future<unknown>, job: Job): void;
  /** The worker is gone. `frame` is undefined when it has sent none. */
  settle(
    future: Future<unknown>,
    frame: Frame | undefined,
    ending: Ending,
  ): void;
  /** Makes the error the outcome, even if a result still arrives. */
  fail(future: Future<unknown>, error: Error): void;
  /** What it has used and written, before it is settled. */
  note(
    future: Future<unknown>,
    usage: JobUsage | undefined,
    output: KeptOutput | undefined,
  ): void;
  /** See `Job.terminate`. */
  terminate(future: Future<unknown>, signal: number): void;
  /**
   * A callback that gets the reports of the running job has thrown, once: the error
   * is delivered when the job is done, before any callback of `whenDone` is called.
   */
  raise(future: Future<unknown>, error: unknown): void;
  /** Of a job that is over: why it has no result, if it has none. */
  loss(future: Future<unknown>): Error | undefined;
  takeRaised(future: Future<unknown>): CallbackRaised | undefined;
  /** Continues with callbacks and waiting calls. */
  deliver(future: Future<unknown>): void;
  /** Calls back with the result of a job that has just begun. */
  follow(
    future: Future<unknown>,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ): void;
}

export let futureControl: FutureControl;

/** Options of {@link Future.wait} and {@link Future.waitSync}. */
export interface WaitOptions {
  /** Milliseconds; default: no limit. 0 checks once without waiting. */
  timeout?: number | undefined;
  /** A signal to send before the wait, unless the job has finished. */
  killSignal?: Signal | undefined;
}

const waitOptions: OptionNames<WaitOptions> = {
  timeout: true,
  killSignal: true,
};
const resultOptions = { timeout: true } as const;

interface Callback {
  readonly seqno: number;
  readonly call: () => void;
}

/** A call that waits. */
interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  timer: Timer | undefined;
}

type Outcome =
  | { readonly isError: false; readonly value: unknown }
  | { readonly isError: true; readonly error: unknown };

const constructorKey = Symbol('constructor');

// Structured clone rejects an object with a function as a property. Otherwise,
// postMessage would give a worker thread a copy that does nothing.
const notCloneable = (): never => {
  throw new Error('A Future belongs to the process that submitted the job');
};

/**
 * One submitted job. A Future has no `then`, so that
 * `await jobserver.submit(…)` gives the Future itself. It cannot be sent to
 * another process or thread.
 *
 * @example
 * ```js
 * const future = await jobserver.submit(square, [7]);
 * future.whenDone(() => console.log('done'));
 * console.log(await future.result()); // 49
 * ```
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
      fail: (future, error) => {
        future.#failure ??= error;
      },
      note: (future, usage, output) => {
        future.#usage = usage;
        future.#output = output;
      },
      terminate: (future, signal) => {
        future.#job?.terminate(signal);
      },
      raise: (future, error) => {
        future.#raised ??= new CallbackRaised(undefined, { cause: error });
      },
      loss: (future) => future.#loss(),
      takeRaised: (future) => future.#takeRaised(),
      deliver: (future) => {
        future.#deliver();
      },
      follow: (future, resolve, reject) => {
        future.#follow(resolve, reject);
      },
    };
  }

  readonly #owner: FutureOwner;
  readonly #generation = workerState.generation;
  #job: Job | undefined;
  #isDone = false;
  /** Undefined while the job runs, and once the outcome is decoded. */
  #frame: Frame | undefined;
  #ending: Ending | undefined;
  /** Why this process has ended the job. */
  #failure: Error | undefined;
  #usage: JobUsage | undefined;
  #output: KeptOutput | undefined;
  #outcome: Outcome | undefined;

  #seqno = 0;
  #callbacks: Callback[] = [];
  #isIssuing = false;
  #raised: CallbackRaised | undefined;
  #waiters: List<Waiter> | undefined;

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
   * What the job has used; undefined before it has finished, and where nobody has
   * measured it: in a process that runs several jobs, without
   * {@link JobControls.usage}. With `retries`, all attempts count.
   */
  get usage(): JobUsage | undefined {
    return this.#isDone ? this.#usage : undefined;
  }

  /**
   * What the job has written to its standard output, as UTF-8, with
   * {@link JobControls.output} 'capture' and once it has finished; otherwise
   * undefined. With `retries`, that of the last attempt.
   */
  get stdout(): string | undefined {
    return this.stdoutBytes?.toString();
  }

  /** As {@link Future.stdout}, as bytes. */
  get stdoutBytes(): Buffer | undefined {
    return this.#isDone ? this.#output?.captured?.stdout : undefined;
  }

  /** As {@link Future.stdout}, of the standard error. */
  get stderr(): string | undefined {
    return this.stderrBytes?.toString();
  }

  /** As {@link Future.stdout}, of the standard error and as bytes. */
  get stderrBytes(): Buffer | undefined {
    return this.#isDone ? this.#output?.captured?.stderr : undefined;
  }

  /**
   * Checks once, without waiting, whether the job has finished.
   *
   * @example
   * ```js
   * if (future.done()) console.log(future.resultSync());
   * ```
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
   * @example
   * ```js
   * const isOver = await future.wait({ timeout: 1000 });
   * if (!isOver) await future.wait({ killSignal: 'SIGKILL' });
   * ```
   *
   * @returns true when it has finished, false when the time is up.
   * @throws CallbackRaised when a whenDone callback has thrown; TypeError or
   * RangeError for an invalid timeout or signal.
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
      const link = this.#addWaiter(waiter);
      waiter.timer = onDeadline(deadline, () => {
        this.#waiters?.delete(link);
        resolve(this.#isDone);
      });
    });
  }

  /**
   * Like {@link Future.wait}, but blocks the thread and needs no event loop.
   */
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
   * Waits for the job and returns its value, the same value at each call.
   * `timeout` is in milliseconds; default: no limit.
   *
   * @example
   * ```js
   * console.log(await future.result({ timeout: 1000 }));
   * ```
   *
   * @throws what the job threw; LostResult when it ended without a result;
   * Blocked when the timeout passes first (the job goes on); AbortError when
   * its AbortSignal ended it; a DOMException named TimeoutError when it ran for
   * longer than {@link JobControls.runTimeout}; CallbackRaised as `wait` does.
   */
  async result(options: { timeout?: number | undefined } = {}): Promise<T> {
    const { timeout } = checkOptions(options, resultOptions);
    if (await this.wait({ timeout })) return this.#value();
    throw new Blocked(`No result within ${timeout} ms`);
  }

  /**
   * Like {@link Future.result}, but blocks the thread and needs no event loop.
   */
  resultSync(options: { timeout?: number | undefined } = {}): T {
    const { timeout } = checkOptions(options, resultOptions);
    if (this.waitSync({ timeout })) return this.#value();
    throw new Blocked(`No result within ${timeout} ms`);
  }

  /**
   * Sends a signal to the process of the job, SIGTERM by default.
   *
   * @example
   * ```js
   * future.kill('SIGKILL');
   * ```
   *
   * @returns false when the job has finished. No signal is sent then, because
   * another process may have the pid.
   * @throws TypeError or RangeError for an invalid signal.
   */
  kill(signal: Signal = 'SIGTERM'): boolean {
    const number = signalNumber(signal, 'signal');
    this.#checkOwner();
    return this.#job?.kill(number) ?? false;
  }

  /**
   * Calls fn(...args) when the job has finished, or at once if it has. The
   * return value of the callback is ignored; a promise is not awaited.
   *
   * @example
   * ```js
   * future.whenDone(console.log, 'job', future.pid, 'has finished');
   * ```
   *
   * @returns the number of the registration: 0, 1, 2, …
   * @throws TypeError when fn is not a function; CallbackRaised when fn is
   * called at once and throws.
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
    const { timeout, killSignal } = checkOptions(options, waitOptions);
    const deadline = deadlineAfter(timeout);
    this.#checkOwner();
    if (killSignal !== undefined && killSignal !== null) {
      const number = signalNumber(killSignal, 'killSignal');
      this.#job?.kill(number);
    }
    return deadline;
  }

  // In a fork, only the parent may wait for the job or signal it.
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
      const first = this.#shiftWaiter();
      if (first === undefined) {
        this.#owner.keepRaised(this);
        return;
      }
      first.reject(this.#takeRaised()!);
      // The caller receives the error before the next callback runs.
      if (this.#waiters?.size === 0) return;
    }
    for (let waiter; (waiter = this.#shiftWaiter());) waiter.resolve();
  }

  #follow(
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ): void {
    const onDone = (): void => {
      let value;
      try {
        value = this.#value();
      } catch (error) {
        reject(error);
        return;
      }
      resolve(value);
    };
    this.#addWaiter({ resolve: onDone, reject, timer: undefined });
  }

  #addWaiter(waiter: Waiter): Link<Waiter> {
    const link = new Link(waiter);
    (this.#waiters ??= new List()).add(link);
    return link;
  }

  #shiftWaiter(): Waiter | undefined {
    const waiter = this.#waiters?.shift();
    waiter?.timer?.cancel();
    return waiter;
  }

  /** Runs callbacks, even those just added, up to the first that throws. */
  #issue(): void {
    // If a callback called this, the loop around it runs the rest.
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
      if (next > 0) this.#callbacks.splice(0, next);
      this.#isIssuing = false;
    }
  }

  #throwRaised(): void {
    // An earlier error goes to a caller outside, not to a callback.
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
    this.#outcome ??= this.#finish();
    if (this.#outcome.isError) throw this.#outcome.error;
    return this.#outcome.value as T;
  }

  #finish(): Outcome {
    const outcome = this.#decode();
    const { lastErrors } = this.#output ?? {};
    if (outcome.isError && lastErrors !== undefined) {
      addStderr(outcome.error, lastErrors());
    }
    return outcome;
  }

  #loss(): Error | undefined {
    if (this.#failure !== undefined) return this.#failure;
    const hasResult = this.#frame !== undefined && this.#frame.kind !== 'lost';
    if (hasResult) return undefined;
    this.#outcome ??= this.#finish();
    return this.#outcome.isError ? (this.#outcome.error as Error) : undefined;
  }

  #decode(): Outcome {
    const frame = this.#frame;
    this.#frame = undefined;
    if (this.#failure !== undefined) {
      return { isError: true, error: this.#failure };
    }
    const ending = this.#ending!;
    if (frame === undefined) {
      return { isError: true, error: ending.refusal ?? new LostResult(ending) };
    }
    try {
      const decoded = decode(frame.content, undefined, frame.buffers);
      if (frame.kind === 'value') return { isError: false, value: decoded };
      if (frame.kind === 'error') return { isError: true, error: decoded };
      const lost = new LostResult(ending, { cause: decoded });
      return { isError: true, error: lost };
    } catch (error) {
      return { isError: true, error };
    }
  }
}

/** As those of child_process have it; an error of the job may have one already. */
export function addStderr(error: unknown, stderr: string): void {
  if (typeof error !== 'object' || error === null || 'stderr' in error) return;
  Reflect.defineProperty(error, 'stderr', {
    value: stderr,
    configurable: true,
    enumerable: true,
    writable: true,
  });
}
