// A queue in front of a Jobserver, for callers who want a promise at once. The
// executor keeps one place in the line for slots, however long its queue is, so
// that it shares the slots fairly with other submissions. When a slot comes,
// the call that is then first in the queue gets it. Where processes run several
// jobs, busy ones may begin the first calls of the queue in slots that they have.
import { availableParallelism } from 'node:os';
import type { RecordableHistogram } from 'node:perf_hooks';
import { inspect } from 'node:util';
import {
  AbortError,
  codedError,
  invalidArgument,
  outOfRange,
} from '../errors.js';
import type { Callable } from '../functions/function-ref.js';
import { type Call, checkArgs } from '../job/encode-call.js';
import { type Future, futureControl } from '../job/future.js';
import type { Pool } from '../job/pool.js';
import type { JobRecord } from '../job/record.js';
import type { Plan } from '../job/running-job.js';
import type { SlotRequest, Submission } from '../job/submission.js';
import { Jobserver, jobserverControl } from '../jobserver.js';
import {
  type MapOptions,
  checkMapOptions,
  inputOf,
  mapOptions,
  only,
} from '../map/input.js';
import type { Token } from '../slots/slot-pipe.js';
import { checkAbortSignal, onAbort } from '../system/abort.js';
import { builtin } from '../system/builtins.js';
import { never } from '../system/deadline.js';
import { type OptionNames, checkOptions } from '../system/options.js';
import { trace } from '../system/trace.js';
import { unsendable } from '../wire/value.js';
import { mapCalls } from './map.js';
import { Offers } from './offers.js';
import { PriorityQueue } from './priority-queue.js';
import {
  type CallQueue,
  type ExecutorFuture,
  QueuedCall,
} from './queued-call.js';

/** Options of {@link JobserverExecutor.submitWith}. */
export interface WorkOptions {
  /**
   * Aborting cancels a pending call, or ends the running job (SIGTERM, then
   * SIGKILL after 5 s); the promise rejects with an AbortError.
   */
  signal?: AbortSignal | undefined;
  /** An integer, default 0. Calls with a higher priority start first. */
  priority?: number | undefined;
}

/** Options of {@link JobserverExecutor.shutdown}. */
export interface ShutdownOptions {
  /** Whether to wait until all calls have ended; default true. */
  wait?: boolean | undefined;
  /** Whether to cancel pending calls; default false: they run. */
  cancelFutures?: boolean | undefined;
}

const workOptions: OptionNames<WorkOptions> = { signal: true, priority: true };
const shutdownOptions: OptionNames<ShutdownOptions> = {
  wait: true,
  cancelFutures: true,
};
const queuedMapOptions = { ...mapOptions, priority: true } as const;

const notCloneable = (): never => {
  throw new Error('A JobserverExecutor belongs to the process that made it');
};

/**
 * A queue of calls for a Jobserver: first in, first out, within a priority.
 * Each call is a job like any other, in a process and a slot. Pending and
 * running calls keep the process alive; an idle executor does not.
 *
 * @example
 * ```js
 * const executor = new JobserverExecutor(new Jobserver({ slots: 2 }));
 * const results = await Promise.all(
 *   [1, 2, 3].map((n) => executor.submit(square, n)),
 * );
 * await executor.shutdown();
 * ```
 */
export class JobserverExecutor implements AsyncDisposable {
  readonly #jobserver: Jobserver;
  readonly #isOwner: boolean;
  readonly #pool: Pool;
  readonly #pending = new PriorityQueue<QueuedCall>();
  readonly #queue: CallQueue = {
    remove: (call) => this.#remove(call),
  };
  /** Undefined where no process is sent a call ahead. */
  readonly #offers: Offers | undefined;
  readonly #slotRequest: SlotRequest;
  /** The place in the line for slots, while calls are pending. */
  #place: Submission | undefined;
  /** Or it is about to. */
  #isDispatching = false;
  #running = 0;
  /** The number of jobs whose futures have come, plus 1 for a place in line. */
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
   * @param jobserver Default: a new Jobserver, which `shutdown` closes.
   * @throws TypeError when it is not a Jobserver; otherwise as
   * `new Jobserver()` does.
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
    this.#pool = jobserverControl.pool(this.#jobserver);
    this.#offers = this.#makeOffers();
    this.#slotRequest = {
      consume: 1,
      canBorrow: true,
      gate: jobserverControl.gate(this.#jobserver),
      deadline: never,
      functions: () => this.#pending.first?.plan?.functions ?? [],
      signal: undefined,
      onSlot: (token) => {
        this.#leavePlace(() => {
          this.#startFirst(token);
        });
      },
      onError: (error) => {
        this.#leavePlace(() => {
          this.#refuse(this.#shift(), error);
        });
      },
    };
  }

  /** The number of calls in the queue. */
  get pending(): number {
    return this.#pending.size;
  }

  /** The number of calls whose process has started and has not ended. */
  get running(): number {
    return this.#running;
  }

  /** The number of calls whose process has ended. */
  get completed(): number {
    return this.#completed;
  }

  /**
   * Nanoseconds from submit to the start of the process, of completed calls.
   */
  get waitTime(): RecordableHistogram {
    return (this.#waitTime ??= builtin('node:perf_hooks').createHistogram());
  }

  /** Nanoseconds from the start of the process to its end. */
  get runTime(): RecordableHistogram {
    return (this.#runTime ??= builtin('node:perf_hooks').createHistogram());
  }

  /**
   * Puts fn(...args) into the queue and returns a promise at once. Function,
   * arguments, environment and working directory are captured when `submit` is
   * called. The promise resolves with the value of the job. It rejects with
   * what the job threw, with LostResult when the job died, and when
   * {@link Jobserver.submit} would reject.
   *
   * @example
   * ```js
   * const promise = executor.submit(square, 7);
   * console.log(promise.state, await promise); // pending 49
   * ```
   *
   * @throws ERR_JOBSERVER_EXECUTOR_SHUTDOWN after `shutdown`, and nothing else.
   */
  submit<A extends unknown[], R>(
    fn: Callable<A, R>,
    ...args: A
  ): ExecutorFuture<Awaited<R>> {
    return this.submitWith({}, fn, ...args);
  }

  /**
   * Like {@link JobserverExecutor.submit}, with an AbortSignal or a priority.
   *
   * @example
   * ```js
   * const first = executor.submitWith({ priority: 1 }, square, 7);
   * ```
   *
   * @throws as `submit` does.
   */
  submitWith<A extends unknown[], R>(
    options: WorkOptions,
    fn: Callable<A, R>,
    ...args: A
  ): ExecutorFuture<Awaited<R>> {
    this.#checkRunning();
    const given = checkArgs(args);
    return this.#submit(options, () => {
      const target = jobserverControl.target(this.#jobserver, fn);
      return { target, fn, args: given, isMapped: false };
    }).promise as ExecutorFuture<Awaited<R>>;
  }

  /**
   * Queues fn(item) for each item, and gives the results in the order of the
   * items. Without `bufferSize`, an iterable is read at once; otherwise items
   * are read ahead of the reader. Leaving the loop early cancels the pending
   * calls.
   *
   * @example
   * ```js
   * for await (const n of executor.map(square, [1, 2, 3])) console.log(n);
   * ```
   *
   * @throws at once for invalid arguments and after `shutdown`. The iterator
   * throws what fn threw, in the place of its result, and a DOMException named
   * TimeoutError when the timeout passes.
   */
  map<T, R>(
    fn: Callable<[T], R>,
    items: Iterable<T> | AsyncIterable<T>,
    options: MapOptions & { priority?: number | undefined } = {},
  ): AsyncGenerator<Awaited<R>> {
    this.#checkRunning();
    const terms = checkMapOptions(checkOptions(options, queuedMapOptions));
    const { signal } = terms;
    const priority = checkPriority(options.priority);
    const target = jobserverControl.target(this.#jobserver, fn);
    const slots = this.#slotCount;
    const isReused = this.#offers !== undefined;
    const submit = (args: Call['args']): QueuedCall => {
      this.#checkRunning();
      const call = { target, fn, args, isMapped: true };
      return this.#submit({ signal, priority }, () => call);
    };
    const plan = { ...terms, slots, isReused, submit };
    return mapCalls(inputOf(items, only, terms), plan) as never;
  }

  /**
   * Rejects new calls. Pending calls still run, unless `cancelFutures` is true;
   * a later call of `shutdown` can cancel them. A Jobserver that the executor
   * has made is closed at the end.
   *
   * @example
   * ```js
   * await executor.shutdown({ cancelFutures: true });
   * ```
   *
   * @throws TypeError for an invalid option.
   */
  async shutdown(options: ShutdownOptions = {}): Promise<void> {
    checkOptions(options, shutdownOptions);
    const { wait = true, cancelFutures = false } = options;
    checkBoolean(wait, 'wait');
    checkBoolean(cancelFutures, 'cancelFutures');
    this.#isShutdown = true;
    trace('executor shuts down with %d calls pending', this.pending);
    if (cancelFutures) {
      for (let call; (call = this.#pending.first);) call.promise.cancel();
    }
    this.#end ??= this.#finish();
    if (wait) await this.#end;
  }

  /** {@link JobserverExecutor.shutdown}, as `await using` calls it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  /**
   * Lets calls keep the process alive (the default). The opposite of
   * {@link JobserverExecutor.unref}. Returns the executor.
   */
  ref(): this {
    if (!this.#isRef) this.#pool.unhold(-this.#active);
    this.#isRef = true;
    return this;
  }

  /**
   * Lets the process end even if calls are left. Returns the executor.
   *
   * @example
   * ```js
   * const background = new JobserverExecutor(jobserver).unref();
   * ```
   */
  unref(): this {
    if (this.#isRef) this.#pool.unhold(this.#active);
    this.#isRef = false;
    return this;
  }

  /** @internal */
  get [unsendable](): string {
    return 'a JobserverExecutor belongs to the process that made it';
  }

  /** @internal */
  [inspect.custom](): string {
    const isClosed = this.#pool.isClosed;
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

  #submit(options: WorkOptions, makeCall: () => Call): QueuedCall {
    let queued: QueuedCall | undefined;
    try {
      const { signal: given, priority } = checkOptions(options, workOptions);
      queued = new QueuedCall(checkPriority(priority));
      const signal = checkAbortSignal(given);
      const plan = jobserverControl.plan(this.#jobserver, makeCall(), signal);
      // Getters among the arguments may have aborted it.
      if (signal?.aborted) queued.drop(new AbortError(signal.reason));
      else this.#enter(queued, plan);
    } catch (error) {
      queued ??= new QueuedCall(0);
      queued.fail(error);
    }
    return queued;
  }

  #enter(call: QueuedCall, plan: Plan): void {
    const { signal, record } = plan;
    call.enter(this.#queue, plan);
    call.offAbort = onAbort(signal, () => {
      call.drop(new AbortError(signal?.reason));
    });
    this.#offers?.withdrawBelow(call.priority);
    this.#pending.add(call);
    // The caller may change its buffers while the call waits.
    plan.order.enclosures?.copy();
    record.submitted();
    if (this.#place === undefined || this.#offers?.hasRoom) {
      this.#dispatchSoon();
    }
  }

  // In a microtask, because starting a process takes longer than a submit
  // should, and because many calls may come or begin together.
  #dispatchSoon(): void {
    if (this.#isDispatching) return;
    this.#isDispatching = true;
    queueMicrotask(() => {
      this.#dispatch();
    });
  }

  /**
   * Starts calls until the queue is empty or there is no slot, and offers the
   * first that are left.
   */
  #dispatch(): void {
    this.#isDispatching = true;
    // First, so that a process which is free now gets several calls at once.
    if (this.#pending.size > 1) this.#offers?.fill();
    while (this.#place === undefined && this.#pending.size > 0) {
      this.#takePlace();
    }
    this.#isDispatching = false;
    if (this.#pending.size > 0) this.#offers?.fill();
    else this.#place?.fail(nothingPending());
  }

  #makeOffers(): Offers | undefined {
    if (!jobserverControl.sendsAhead(this.#jobserver)) return undefined;
    return new Offers(this.#pending, this.#pool, this.#slotCount, {
      onBegin: (call) => {
        this.#begin(call);
        this.#dispatchSoon();
      },
      onFuture: (call, future) => {
        this.#count(1);
        this.#follow(call, future);
      },
    });
  }

  get #slotCount(): number {
    return this.#jobserver.slots ?? availableParallelism();
  }

  #takePlace(): void {
    this.#count(1);
    try {
      this.#pool.checkOpen();
    } catch (error) {
      this.#slotRequest.onError(error);
      return;
    }
    const place = this.#pool.request(this.#slotRequest);
    if (place.isSettled) return;
    this.#place = place;
    // The gate, or a callback, may have cancelled the last pending call.
    if (this.#pending.size === 0) place.fail(nothingPending());
  }

  #leavePlace(useSlot: () => void): void {
    this.#place = undefined;
    useSlot();
    if (!this.#isDispatching) this.#dispatch();
  }

  #startFirst(token: Token): void {
    const call = this.#shift();
    if (call === undefined) {
      token.give();
      this.#refuse(undefined, nothingPending());
      return;
    }
    let future;
    try {
      future = this.#pool.start(this.#begin(call), token);
    } catch (error) {
      this.#running -= 1;
      this.#refuse(call, error);
      return;
    }
    this.#follow(call, future);
  }

  /** Removes and returns the first call that no process has begun. */
  #shift(): QueuedCall | undefined {
    for (let first; (first = this.#pending.first) !== undefined;) {
      // Otherwise it has left the queue.
      if (this.#offers?.withdraw(first) === false) continue;
      this.#pending.delete(first);
      return first;
    }
    return undefined;
  }

  #begin(call: QueuedCall): Plan {
    this.#pending.delete(call);
    this.#running += 1;
    return call.takePlan();
  }

  #follow(call: QueuedCall, future: Future<unknown>): void {
    const end = (settle: () => void): void => {
      this.#running -= 1;
      this.#completed += 1;
      settle();
      this.#measure(call.record!);
      this.#count(-1);
    };
    futureControl.follow(
      future,
      (value) => {
        end(() => {
          call.fulfil(value);
        });
      },
      (error) => {
        end(() => {
          call.fail(error);
        });
      },
    );
  }

  /** Fails a call because of the gate, its start or a closed Jobserver. */
  #refuse(call: QueuedCall | undefined, error: unknown): void {
    call?.refuse(error);
    this.#count(-1);
  }

  /** False when a process has begun the call. */
  #remove(call: QueuedCall): boolean {
    if (this.#offers?.withdraw(call) === false) return false;
    this.#pending.delete(call);
    if (this.#pending.size > 0) {
      if (this.#offers !== undefined) this.#dispatchSoon();
      return true;
    }
    this.#place?.fail(nothingPending());
    this.#notifyIdle();
    return true;
  }

  /** Adds to the number of running jobs and places in line. */
  #count(change: 1 | -1): void {
    this.#active += change;
    if (!this.#isRef) this.#pool.unhold(change);
    this.#notifyIdle();
  }

  #measure(record: JobRecord): void {
    const { submittedAt, startedAt, finishedAt } = record;
    this.waitTime.record(nanoseconds(startedAt! - submittedAt));
    this.runTime.record(nanoseconds(finishedAt! - startedAt!));
  }

  get #isIdle(): boolean {
    const calls = this.#pending.size + this.#running;
    return this.#active === 0 && calls === 0;
  }

  #notifyIdle(): void {
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
  return new AbortError('No call is pending');
}

// A histogram accepts no zero.
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
