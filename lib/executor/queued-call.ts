// One call in the queue of an executor, and the promise that its submitter
// holds. The executor moves it on; the promise shows where it is.
import { AbortError } from '../errors.js';
import type { JobRecord } from '../job/record.js';
import type { Plan } from '../job/submission.js';

/** Where a call of an executor is: in the queue, in a process, or over. */
export type WorkState = 'pending' | 'running' | 'cancelled' | 'finished';

/** A promise for the value, plus the state of the work. */
export interface ExecutorFuture<T> extends Promise<T> {
  /**
   * 'pending' in the queue; 'running' once its process was started;
   * 'cancelled' when it never will be; 'finished' with a value or an error.
   */
  readonly state: WorkState;
  /**
   * Takes pending work out of the queue: it never runs, and the promise rejects
   * with an AbortError, which nobody has to observe.
   *
   * @returns false when the work runs already, or is over.
   */
  cancel(): boolean;
}

/** What it leaves when it is dropped. */
export interface WorkQueue {
  leave(work: Work): void;
}

export class Work {
  readonly promise: ExecutorFuture<unknown>;
  readonly priority: number;
  /** Stops listening to the AbortSignal of the pending work. */
  offAbort: (() => void) | undefined;
  /** Undefined for a call that could not be captured. */
  record: JobRecord | undefined;
  #state: WorkState = 'pending';
  #plan: Plan | undefined;
  #queue: WorkQueue | undefined;
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

  enter(queue: WorkQueue, plan: Plan): void {
    this.#queue = queue;
    this.#plan = plan;
    this.record = plan.record;
  }

  /** Out of the queue, to be started. */
  take(): Plan {
    const plan = this.#plan!;
    this.#forget();
    return plan;
  }

  started(): void {
    this.#state = 'running';
  }

  fulfil(value: unknown): void {
    this.#state = 'finished';
    this.#resolve(value);
  }

  fail(error: unknown): void {
    this.#state = 'finished';
    this.#forget();
    this.#reject(error);
  }

  /** It could not be started. */
  refuse(error: unknown): void {
    this.record?.done('unstarted');
    this.fail(error);
  }

  /** Ends pending work that is never to run. */
  drop(error: Error): void {
    this.#state = 'cancelled';
    this.record?.done('unstarted');
    this.#queue?.leave(this);
    this.#forget();
    this.#reject(error);
  }

  #cancel(): boolean {
    if (this.#state !== 'pending') return false;
    void this.promise.catch(() => undefined);
    this.drop(new AbortError('cancel() was called'));
    return true;
  }

  // A promise that its owner keeps holds neither arguments nor executor.
  #forget(): void {
    this.offAbort?.();
    this.offAbort = undefined;
    this.#plan = undefined;
    this.#queue = undefined;
  }
}
