// A queue in front of a Jobserver, for those who want a promise and nothing to
// wait for. It holds one place in the line for slots, whatever its length, so
// that it shares them fairly; who is first in the queue gets the slot.
import { type RecordableHistogram, createHistogram } from 'node:perf_hooks';
import { inspect } from 'node:util';
import { checkAbortSignal, onAbort, throwIfAborted } from '../system/abort.js';
import { type Call, checkArgs } from '../job/controls.js';
import { never } from '../system/deadline.js';
import {
  AbortError,
  checkOptions,
  codedError,
  invalidArgument,
  outOfRange,
} from '../errors.js';
import { mapWork } from './map.js';
import type { Callable } from '../functions/function-ref.js';
import type { Future } from '../job/future.js';
import type { JobRecord } from '../job/record.js';
import { Jobserver, jobserverControl } from '../jobserver.js';
import {
  type MapOptions,
  checkMapOptions,
  chunksOf,
  only,
} from '../map/input.js';
import { PriorityQueue } from './priority-queue.js';
import type { Resources } from '../job/pool.js';
import type { Plan, Settled, Submission, Terms } from '../job/submission.js';
import { trace } from '../system/trace.js';
import { unsendable } from '../wire/value.js';
import { type ExecutorFuture, Work, type WorkQueue } from './queued-call.js';

/** For one call of an executor. */
export interface WorkOptions {
  /**
   * Aborting cancels pending work, or ends the running job (SIGTERM, after 5 s
   * SIGKILL); the promise rejects with an AbortError.
   */
  signal?: AbortSignal | undefined;
  /** An integer, default 0. Work of a higher priority starts first. */
  priority?: number | undefined;
}

/** What becomes of the work that an executor still has. */
export interface ShutdownOptions {
  /** Resolve when all work has ended; default true. */
  wait?: boolean | undefined;
  /** Cancel what is pending; default false: it runs. */
  cancelFutures?: boolean | undefined;
}

const notCloneable = (): never => {
  throw new Error('A JobserverExecutor belongs to the process that made it');
};

/**
 * A first-in-first-out queue of calls for a Jobserver. Each call is a job like
 * any other: in a process of its own, in a slot that it shares with all other
 * work of the Jobserver. The event loop drives it: pending work keeps the
 * process alive, an idle executor does not.
 */
export class JobserverExecutor implements AsyncDisposable {
  readonly #jobserver: Jobserver;
  readonly #isOwner: boolean;
  readonly #resources: Resources;
  readonly #terms: Terms;
  readonly #pending = new PriorityQueue<Work>();
  readonly #queue: WorkQueue = {
    leave: (work) => {
      this.#leave(work);
    },
  };
  /** The place in the line for slots, while there is pending work. */
  #place: Submission | undefined;
  #chosen: Work | undefined;
  #isDispatching = false;
  #running = 0;
  /** The running jobs and the place in line. */
  #active = 0;
  #completed = 0;
  #isRef = true;
  #isShutdown = false;
  #end: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;
  #waitTime: RecordableHistogram | undefined;
  #runTime: RecordableHistogram | undefined;

  /** @internal */
  readonly notCloneable = notCloneable;

  /**
   * Without a Jobserver it makes its own, which it closes on shutdown.
   *
   * @throws TypeError for something else; as `new Jobserver()` does.
   */
  constructor(jobserver?: Jobserver) {
    if (
      jobserver !== undefined &&
      jobserver !== null &&
      !(jobserver instanceof Jobserver)
    ) {
      throw invalidArgument('jobserver', 'a Jobserver', jobserver);
    }
    this.#isOwner = !jobserver;
    this.#jobserver = jobserver ?? new Jobserver();
    this.#resources = jobserverControl.resources(this.#jobserver);
    this.#terms = {
      consume: 1,
      gate: jobserverControl.gate(this.#jobserver),
      signal: undefined,
      hearsRaised: false,
      record: undefined,
      choose: () => {
        this.#chosen = this.#pending.shift();
        if (this.#chosen === undefined) throw nothingPending();
        return this.#chosen.take();
      },
    };
  }

  /** Calls in the queue. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Calls whose process has started and not yet ended. */
  get running(): number {
    return this.#running;
  }

  /** Calls that have ended with a value or an error, cancelled ones excluded. */
  get completed(): number {
    return this.#completed;
  }

  /** Nanoseconds from submit to the start of the process, of completed calls. */
  get waitTime(): RecordableHistogram {
    return (this.#waitTime ??= createHistogram());
  }

  /** Nanoseconds from the start of the process to its end. */
  get runTime(): RecordableHistogram {
    return (this.#runTime ??= createHistogram());
  }

  /**
   * Puts fn(...args) into the queue and returns at once. Function, arguments,
   * environment and working directory are captured at the call. The promise has
   * the value of the job, or rejects with what it threw; with LostResult when
   * the job died; and where `Jobserver.submit` would reject.
   *
   * @throws ERR_JOBSERVER_EXECUTOR_SHUTDOWN after `shutdown`, and nothing else.
   */
  submit<A extends unknown[], R>(
    fn: Callable<A, R>,
    ...args: A
  ): ExecutorFuture<Awaited<R>> {
    return this.submitWith({}, fn, ...args);
  }

  /** `submit` with an AbortSignal or a priority. */
  submitWith<A extends unknown[], R>(
    options: WorkOptions,
    fn: Callable<A, R>,
    ...args: A
  ): ExecutorFuture<Awaited<R>> {
    this.#checkRunning();
    const call = { fn, args: checkArgs(args), isMapped: false };
    return this.#submit(call, options) as ExecutorFuture<Awaited<R>>;
  }

  /**
   * fn(item) for each item through the queue, results in the order of the
   * items. Nothing is read or queued before the first result is asked for;
   * without `bufferSize` it is everything then. Leaving the loop early cancels
   * what is pending.
   *
   * @throws at once for invalid arguments and after `shutdown`; from the
   * iterator what fn threw, at its place; a DOMException named TimeoutError
   * when the time is up.
   */
  map<T, R>(
    fn: Callable<[T], R>,
    items: Iterable<T> | AsyncIterable<T>,
    options: MapOptions & { priority?: number | undefined } = {},
  ): AsyncGenerator<Awaited<R>> {
    this.#checkRunning();
    const terms = checkMapOptions(options);
    const { signal } = terms;
    const priority = checkPriority(options.priority);
    jobserverControl.check(this.#jobserver, fn);
    const submit = (args: Call['args']): ExecutorFuture<unknown> => {
      this.#checkRunning();
      return this.#submit({ fn, args, isMapped: true }, { signal, priority });
    };
    return mapWork(chunksOf(items, only, terms), submit, terms) as never;
  }

  /**
   * Refuses new work. What is pending runs to its end, unless `cancelFutures`;
   * a later call may still ask for that. A Jobserver of the executor's own is
   * closed at last.
   */
  async shutdown(options: ShutdownOptions = {}): Promise<void> {
    const { wait = true, cancelFutures = false } = checkOptions(options);
    checkBoolean(wait, 'wait');
    checkBoolean(cancelFutures, 'cancelFutures');
    this.#isShutdown = true;
    trace('executor shuts down with %d calls pending', this.pending);
    if (cancelFutures) {
      for (let work; (work = this.#pending.first);) work.promise.cancel();
    }
    this.#end ??= this.#finish();
    if (wait) await this.#end;
  }

  /** `shutdown()`: waits until all work has ended. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  /** Its work keeps the process alive again. Returns the executor. */
  ref(): this {
    if (!this.#isRef) this.#resources.unhold(-this.#active);
    this.#isRef = true;
    return this;
  }

  /** The process may end although there is work. Returns the executor. */
  unref(): this {
    if (this.#isRef) this.#resources.unhold(this.#active);
    this.#isRef = false;
    return this;
  }

  /** @internal */
  get [unsendable](): string {
    return 'a JobserverExecutor belongs to the process that made it';
  }

  /** @internal */
  [inspect.custom](): string {
    const isClosed = this.#resources.isClosed;
    const state = this.#isShutdown
      ? 'shutdown'
      : isClosed
        ? 'closed'
        : 'active';
    return (
      `JobserverExecutor(${state}, pending=${this.pending}, ` +
      `running=${this.running}, ${inspect(this.#jobserver)})`
    );
  }

  #checkRunning(): void {
    if (!this.#isShutdown) return;
    throw codedError(
      'ERR_JOBSERVER_EXECUTOR_SHUTDOWN',
      'The JobserverExecutor has been shut down',
    );
  }

  #submit(call: Call, options: WorkOptions): ExecutorFuture<unknown> {
    let work: Work | undefined;
    try {
      const { signal: given, priority } = checkOptions(options);
      work = new Work(checkPriority(priority));
      const signal = checkAbortSignal(given);
      throwIfAborted(signal);
      const plan = jobserverControl.plan(this.#jobserver, call, signal);
      this.#enter(work, signal, plan);
    } catch (error) {
      work ??= new Work(0);
      work.fail(error);
    }
    return work.promise;
  }

  #enter(work: Work, signal: AbortSignal | undefined, plan: Plan): void {
    work.enter(this.#queue, plan);
    work.offAbort = onAbort(signal, () => {
      work.drop(new AbortError(signal?.reason));
    });
    this.#pending.add(work);
    plan.record.submitted();
    // Not now: starting a process takes longer than a submit should.
    if (this.#place === undefined && !this.#isDispatching) {
      this.#isDispatching = true;
      queueMicrotask(() => {
        this.#dispatch();
      });
    }
  }

  /** Takes places in line until the queue is empty or a place has to wait. */
  #dispatch(): void {
    this.#isDispatching = true;
    while (this.#place === undefined && this.#pending.size > 0) {
      this.#takePlace();
    }
    this.#isDispatching = false;
  }

  #takePlace(): void {
    this.#count(1);
    let isSettled = false;
    const onSettled = (settled: Settled): void => {
      isSettled = true;
      this.#place = undefined;
      if ('future' in settled) this.#run(settled.future);
      else this.#refuse(settled.error);
      if (!this.#isDispatching) this.#dispatch();
    };
    try {
      this.#resources.checkOpen();
    } catch (error) {
      onSettled({ error });
      return;
    }
    const place = this.#resources.submit(this.#terms, never, onSettled);
    if (isSettled) return;
    this.#place = place;
    // The gate, or a callback, may have cancelled what the place was for.
    if (this.#pending.size === 0) place.fail(nothingPending());
  }

  #run(future: Future<unknown>): void {
    const work = this.#chosen!;
    this.#chosen = undefined;
    work.started();
    this.#running += 1;
    const end = (settle: () => void): void => {
      this.#running -= 1;
      this.#completed += 1;
      settle();
      this.#recordTimes(work.record!);
      this.#count(-1);
    };
    future.result().then(
      (value) => {
        end(() => {
          work.fulfil(value);
        });
      },
      (error: unknown) => {
        end(() => {
          work.fail(error);
        });
      },
    );
  }

  /** The launch has failed, or else the gate, or there is no Jobserver left. */
  #refuse(error: unknown): void {
    const work = this.#chosen ?? this.#pending.shift();
    this.#chosen = undefined;
    work?.refuse(error);
    this.#count(-1);
  }

  #leave(work: Work): void {
    this.#pending.delete(work);
    if (this.#pending.size > 0) return;
    this.#place?.fail(nothingPending());
    this.#tellIdle();
  }

  /** One more job or place in line, or one less. */
  #count(change: 1 | -1): void {
    this.#active += change;
    if (!this.#isRef) this.#resources.unhold(change);
    this.#tellIdle();
  }

  #recordTimes(record: JobRecord): void {
    const { submittedAt, startedAt, finishedAt } = record;
    this.waitTime.record(nanoseconds(startedAt! - submittedAt));
    this.runTime.record(nanoseconds(finishedAt! - startedAt!));
  }

  get #isIdle(): boolean {
    return this.#active === 0 && this.#pending.size === 0;
  }

  #tellIdle(): void {
    if (this.#isIdle) this.#onIdle?.();
  }

  async #finish(): Promise<void> {
    if (!this.#isIdle) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    if (this.#isOwner) await this.#jobserver.close();
  }
}

function nothingPending(): Error {
  return new AbortError('No work is pending');
}

// A histogram has no place for zero.
function nanoseconds(milliseconds: number): number {
  return Math.max(1, Math.round(milliseconds * 1e6));
}

function checkPriority(priority: unknown = 0): number {
  if (typeof priority !== 'number') {
    throw invalidArgument('priority', 'an integer', priority);
  }
  if (!Number.isSafeInteger(priority)) {
    throw outOfRange('priority', 'an integer', priority);
  }
  return priority;
}

function checkBoolean(value: unknown, name: string): void {
  if (typeof value === 'boolean') return;
  throw invalidArgument(name, 'a boolean', value);
}
