// One call in the queue of an executor, and the promise that its submitter
// holds. The executor changes the state of the call; the promise shows it.
import { AbortError } from '../errors.js';
import { type Future, futureControl } from '../job/future.js';
import type { Offer } from '../job/pool.js';
import type { JobRecord } from '../job/record.js';
import type { Plan } from '../job/plan.js';
import { Link } from '../system/list.js';

/**
 * The state of a call of an executor: 'pending' in the queue, 'running' once
 * its process has started, 'cancelled' when `cancel`, `shutdown` or an
 * AbortSignal has ended it before that, 'finished' with a value or any other
 * error. See {@link JobserverExecutor.submit}.
 */
export type WorkState = 'pending' | 'running' | 'cancelled' | 'finished';

/**
 * A promise for the value of a call, with the state of the call.
 *
 * @example
 * ```js
 * const promise = executor.submit(square, 7);
 * if (!promise.cancel()) console.log(promise.state); // running or finished
 * ```
 */
export interface ExecutorFuture<T> extends Promise<T> {
  /** Where the call is now. */
  readonly state: WorkState;
  /**
   * Takes a pending call out of the queue: it never runs, and the promise
   * rejects with an AbortError. That rejection needs no handler.
   *
   * @returns whether the call is cancelled, by this or earlier; false when it
   * runs already or has finished.
   */
  cancel(): boolean;
}

/** The queue that a dropped call leaves. */
export interface CallQueue<P extends CallPlan = Plan> {
  /** False when a process has begun the call. */
  remove(call: QueuedCall<P>): boolean;
}

/** What is to be done for a call, wherever that is. */
interface CallPlan {
  readonly record: JobRecord;
}

export class QueuedCall<P extends CallPlan = Plan> {
  readonly promise: ExecutorFuture<unknown>;
  readonly priority: number;
  /** Removes the listener that drops the pending call on abort. */
  offAbort: (() => void) | undefined;
  /** Called when its process is about to be started. */
  onStart: (() => void) | undefined;
  /** Its place among the calls that are offered to busy processes, or that run. */
  readonly place: Link<QueuedCall<P>> = new Link<QueuedCall<P>>(this);
  offer: Offer | undefined;
  /** Undefined for a call that could not be captured. */
  record: JobRecord | undefined;
  #state: WorkState = 'pending';
  #plan: P | undefined;
  #queue: CallQueue<P> | undefined;
  /** Of its job, while that runs. */
  #future: Future<unknown> | undefined;
  #endSignal: number | undefined;
  #resolve!: (value: unknown) => void;
  #reject!: (error: unknown) => void;

  constructor(priority: number) {
    this.priority = priority;
    const promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.promise = Object.defineProperties(promise, {
      state: { get: () => this.#state },
      cancel: { value: () => this.#cancel() },
    }) as ExecutorFuture<unknown>;
  }

  get state(): WorkState {
    return this.#state;
  }

  /** Undefined once it is out of the queue. */
  get plan(): P | undefined {
    return this.#plan;
  }

  enter(queue: CallQueue<P>, plan: P): void {
    this.#queue = queue;
    this.#plan = plan;
    this.record = plan.record;
  }

  /** The job to start, once the call is out of the queue. */
  takePlan(): P {
    const plan = this.#plan!;
    this.#state = 'running';
    this.#forget();
    this.onStart?.();
    return plan;
  }

  /** The future of its job has come. */
  follow(future: Future<unknown>): void {
    this.#future = future;
    if (this.#endSignal !== undefined) this.terminate(this.#endSignal);
  }

  /** Ends its job, as soon as that has a future. */
  terminate(signal: number): void {
    this.#endSignal = signal;
    if (this.#future === undefined) return;
    futureControl.terminate(this.#future, signal);
  }

  fulfil(value: unknown): void {
    this.#state = 'finished';
    this.#forget();
    this.#resolve(value);
  }

  fail(error: unknown): void {
    this.#state = 'finished';
    this.#forget();
    this.#reject(error);
  }

  /** The job could not be started. */
  refuse(error: unknown): void {
    this.record?.done('unstarted');
    this.fail(error);
  }

  /** Ends a pending call, which never runs, unless a process has begun it. */
  drop(error: Error): void {
    if (this.#queue?.remove(this) === false) return;
    this.#state = 'cancelled';
    this.#forget();
    this.record?.done('unstarted');
    this.#reject(error);
  }

  #cancel(): boolean {
    if (this.#state === 'pending') {
      this.drop(new AbortError('cancel() was called'));
    }
    if (this.#state !== 'cancelled') return false;
    void this.promise.catch(() => undefined);
    return true;
  }

  // A promise that the user holds must not retain arguments or executor.
  #forget(): void {
    this.offAbort?.();
    this.offAbort = undefined;
    this.#plan = undefined;
    this.#queue = undefined;
    this.#future = undefined;
  }
}
