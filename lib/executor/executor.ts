// A queue in front of a Jobserver, for callers who want a promise at once. Each
// call is in a lane, which finds a slot for it.
import { availableParallelism } from 'node:os';
import type { RecordableHistogram } from 'node:perf_hooks';
import { inspect } from 'node:util';
import {
  AbortError,
  Blocked,
  codedError,
  invalidArgument,
  invalidValue,
  outOfRange,
} from '../errors.js';
import type { Callable } from '../functions/function-ref.js';
import { type Call, checkArgs } from '../job/encode-call.js';
import { type Future, futureControl } from '../job/future.js';
import type { Pool } from '../job/pool.js';
import type { Plan } from '../job/plan.js';
import { Jobserver, jobserverControl } from '../jobserver.js';
import {
  type MapOptions,
  checkMapOptions,
  inputOf,
  mapOptions,
  only,
} from '../map/input.js';
import type { MapResult } from '../map/reading.js';
import { checkAbortSignal, onAbort } from '../system/abort.js';
import { type Deadline, deadlineAfter } from '../system/deadline.js';
import { List } from '../system/list.js';
import {
  type OptionNames,
  checkBoolean,
  checkMost,
  checkOptions,
} from '../system/options.js';
import { type Signal, checkKillSignal } from '../system/signals.js';
import { trace } from '../system/trace.js';
import { unsendable } from '../wire/value.js';
import { CallTimes } from './call-times.js';
import { inTime } from './in-time.js';
import type { Executor } from './interface.js';
import { Lane, type LaneOwner } from './lane.js';
import { type ExecutorFuture, QueuedCall } from './queued-call.js';
import { Room } from './room.js';

/** Options of {@link JobserverExecutor | new JobserverExecutor()}. */
export interface ExecutorOptions {
  /**
   * The most calls that may be pending: 1 or more; default Infinity. A `submit`
   * beyond that rejects with ERR_JOBSERVER_QUEUE_FULL. `drained` waits for room,
   * and so does `map`.
   */
  maxPending?: number | undefined;
  /**
   * Which of the pending calls of one priority starts first: 'fifo', the one that
   * was submitted first (the default), or 'lifo', the one submitted last.
   */
  order?: 'fifo' | 'lifo' | undefined;
}

/** Options of {@link JobserverExecutor.submitWith}. */
export interface WorkOptions {
  /**
   * Aborting cancels a pending call, or ends the running job (SIGTERM, then
   * SIGKILL after {@link JobControls.killGrace}); the promise rejects with an AbortError.
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
  /**
   * A signal that the running jobs of this executor get. A job that has not ended after
   * {@link JobControls.killGrace} gets SIGKILL. Default: none. Pending calls get none.
   */
  killSignal?: Signal | undefined;
  /**
   * Milliseconds to wait; then Blocked is thrown, and the calls go on. Default: no
   * limit.
   */
  timeout?: number | undefined;
}

const executorOptions: OptionNames<ExecutorOptions> = {
  maxPending: true,
  order: true,
};
export const workOptions: OptionNames<WorkOptions> = {
  signal: true,
  priority: true,
};
const shutdownOptions: OptionNames<ShutdownOptions> = {
  wait: true,
  cancelFutures: true,
  killSignal: true,
  timeout: true,
};
export const queuedMapOptions = { ...mapOptions, priority: true } as const;

const notCloneable = (): never => {
  throw new Error('A JobserverExecutor belongs to the process that made it');
};

/**
 * A queue of calls for a Jobserver: first in, first out, within a priority,
 * unless `order` says otherwise.
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
export class JobserverExecutor implements Executor {
  readonly #jobserver: Jobserver;
  readonly #isOwner: boolean;
  readonly #pool: Pool;
  readonly #maxPending: number;
  readonly #isLifo: boolean;
  readonly #lanes: [Lane, ...Lane[]];
  readonly #owner: LaneOwner = {
    onBegin: (call) => {
      this.#running.add(call.place);
      return call.takePlan();
    },
    onFuture: (call, future) => {
      this.#follow(call, future);
    },
    onUnstarted: (call) => {
      this.#running.delete(call.place);
    },
    onLeft: () => {
      this.#room?.notify();
      this.#notifyIdle();
    },
    count: (change) => {
      this.#count(change);
    },
  };
  readonly #running = new List<QueuedCall>();
  /** The number of jobs whose futures have come, plus that of places in line. */
  #active = 0;
  #completed = 0;
  #isRef = true;
  #isShutdown = false;
  #end: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;
  /** Undefined while nobody has waited for it. */
  #room: Room | undefined;
  readonly #times = new CallTimes();

  /** @internal */
  readonly notCloneable = notCloneable;

  /**
   * @param jobserver Default: a new Jobserver, which `shutdown` closes.
   * @throws TypeError when it is not a Jobserver; TypeError or RangeError for an
   * invalid option; otherwise as `new Jobserver()` does.
   */
  constructor(jobserver?: Jobserver, options: ExecutorOptions = {}) {
    if (
      jobserver !== undefined &&
      jobserver !== null &&
      !(jobserver instanceof Jobserver)
    ) {
      throw invalidArgument('jobserver', 'a Jobserver', jobserver);
    }
    const { maxPending = Infinity, order } = checkOptions(
      options,
      executorOptions,
    );
    this.#maxPending = checkMost(maxPending, 'maxPending', 1);
    this.#isLifo = checkOrder(order) === 'lifo';
    this.#isOwner = !jobserver;
    this.#jobserver = jobserver ?? new Jobserver();
    this.#pool = jobserverControl.pool(this.#jobserver);
    this.#lanes = [this.#makeLane(undefined)];
  }

  /** The number of calls in the queue. */
  get pending(): number {
    let count = 0;
    for (const { size } of this.#lanes) count += size;
    return count;
  }

  /** The number of calls whose process has started and has not ended. */
  get running(): number {
    return this.#running.size;
  }

  /** The number of calls whose process has ended. */
  get completed(): number {
    return this.#completed;
  }

  /**
   * Nanoseconds from submit to the start of the process, of completed calls.
   */
  get waitTime(): RecordableHistogram {
    return this.#times.wait;
  }

  /** Nanoseconds from the start of the process to its end. */
  get runTime(): RecordableHistogram {
    return this.#times.run;
  }

  /**
   * Nanoseconds of CPU time that each completed call has used, in the program and in
   * the kernel, where that is known: see {@link Future.usage}.
   */
  get cpuTime(): RecordableHistogram {
    return this.#times.cpu;
  }

  /**
   * Puts fn(...args) into the queue and returns a promise at once. Function,
   * arguments, environment and working directory are captured when `submit` is
   * called. The promise resolves with the value of the job. It rejects with
   * what the job threw, with LostResult when the job died, with
   * ERR_JOBSERVER_QUEUE_FULL when `maxPending` calls are pending, and when
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
    return this.#submit(options, this.#lanes[0], () => {
      const target = jobserverControl.target(this.#jobserver, fn);
      return { target, fn, args: given, mapping: 'none' };
    }).promise as ExecutorFuture<Awaited<R>>;
  }

  /**
   * Resolves when fewer than `maxPending` calls are pending. When several callers wait,
   * the promise of each resolves after the one before it could submit. It never
   * rejects: after `shutdown` it resolves as the queue empties, and then
   * `submit` throws.
   *
   * @example
   * ```js
   * const executor = new JobserverExecutor(jobserver, { maxPending: 100 });
   * for (const n of numbers) {
   *   await executor.drained();
   *   executor.submit(square, n).then(store);
   * }
   * ```
   */
  drained(): Promise<void> {
    if (this.#maxPending === Infinity) return Promise.resolve();
    return (this.#room ??= new Room(this.#hasRoom)).wait();
  }

  /**
   * Queues fn(item) for each item, and gives the results in the order of the
   * items, unless `ordered` is false. Without `bufferSize`, an iterable is read at
   * once; otherwise items are read ahead of the reader. Waits while `maxPending`
   * calls are pending. Leaving the loop early cancels the pending calls.
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
  map<T, R, S extends boolean = false>(
    fn: Callable<[T], R>,
    items: Iterable<T> | AsyncIterable<T>,
    options: MapOptions<S> & { priority?: number | undefined } = {},
  ): AsyncGenerator<MapResult<T, Awaited<R>, S>> {
    this.#checkRunning();
    const terms = checkMapOptions(checkOptions(options, queuedMapOptions));
    const { signal, mapping } = terms;
    const priority = checkPriority(options.priority);
    const target = jobserverControl.target(this.#jobserver, fn);
    const lane = this.#laneOf(terms.consume);
    const slots = this.#slotCount;
    const isReused = jobserverControl.sendsAhead(this.#jobserver);
    const submit = (args: Call['args']): QueuedCall => {
      this.#checkRunning();
      const call = { target, fn, args, mapping };
      return this.#submit({ signal, priority }, lane, () => call);
    };
    const room = { isFree: this.#hasRoom, wait: () => this.drained() };
    const plan = { ...terms, slots, isReused, submit, room };
    // Required here, because programs that do without start sooner.
    const { mapCalls } = require('./map.js') as typeof import('./map.js');
    return mapCalls(inputOf(items, only, terms), plan) as never;
  }

  /**
   * Rejects new calls. Pending calls still run, unless `cancelFutures` is true,
   * and running ones go on, unless `killSignal` is given; a later call of
   * `shutdown` can still end them. A Jobserver that the executor has made is
   * closed at the end.
   *
   * @example
   * ```js
   * await executor.shutdown({ cancelFutures: true });
   * ```
   *
   * @throws TypeError or RangeError for an invalid option; Blocked when the timeout
   * passes first.
   */
  async shutdown(options: ShutdownOptions = {}): Promise<void> {
    const { wait, cancelFutures, signal, deadline } = checkShutdown(options);
    this.#isShutdown = true;
    trace('executor shuts down with %d calls pending', this.pending);
    if (cancelFutures) for (const lane of this.#lanes) lane.cancelAll();
    if (signal !== undefined) {
      for (const call of this.#running.values()) call.terminate(signal);
    }
    this.#end ??= this.#finish();
    if (wait) await ended(this.#end, deadline);
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

  #submit(options: WorkOptions, lane: Lane, makeCall: () => Call): QueuedCall {
    let queued: QueuedCall | undefined;
    try {
      const { signal: given, priority } = checkOptions(options, workOptions);
      queued = new QueuedCall(checkPriority(priority));
      const signal = checkAbortSignal(given);
      this.#checkRoom();
      const plan = jobserverControl.plan(this.#jobserver, makeCall(), signal);
      // Getters among the arguments may have aborted it.
      if (signal?.aborted) queued.drop(new AbortError(signal.reason));
      else this.#enter(queued, lane, plan);
    } catch (error) {
      queued ??= new QueuedCall(0);
      queued.fail(error);
    }
    return queued;
  }

  #enter(call: QueuedCall, lane: Lane, plan: Plan): void {
    const { signal, record } = plan;
    call.enter(lane, plan);
    call.offAbort = onAbort(signal, () => {
      call.drop(new AbortError(signal?.reason));
    });
    lane.add(call);
    // The caller may change its buffers while the call waits.
    plan.order.enclosures?.copy();
    record.submitted();
    lane.wake();
  }

  readonly #hasRoom = (): boolean =>
    this.#maxPending === Infinity || this.pending < this.#maxPending;

  #checkRoom(): void {
    if (this.#hasRoom()) return;
    // There may be slots for the calls of this turn of the event loop.
    for (const lane of this.#lanes) lane.dispatchNow();
    if (this.#hasRoom()) return;
    throw codedError(
      'ERR_JOBSERVER_QUEUE_FULL',
      `The queue of the JobserverExecutor has ${this.pending} calls, which is ` +
        'its `maxPending`: await `drained()` before `submit`',
    );
  }

  #laneOf(consume: Lane['consume']): Lane {
    const known = this.#lanes.find((lane) => lane.consume === consume);
    if (known !== undefined) return known;
    const lane = this.#makeLane(consume);
    this.#lanes.push(lane);
    return lane;
  }

  #makeLane(consume: Lane['consume']): Lane {
    const options = {
      consume,
      isLifo: this.#isLifo,
      gate: jobserverControl.gate(this.#jobserver),
      sendsAhead: jobserverControl.sendsAhead(this.#jobserver),
      slots: this.#slotCount,
    };
    return new Lane(options, this.#pool, this.#owner);
  }

  get #slotCount(): number {
    return this.#jobserver.slots ?? availableParallelism();
  }

  #follow(call: QueuedCall, future: Future<unknown>): void {
    call.follow(future);
    const end = (settle: () => void): void => {
      this.#running.delete(call.place);
      this.#completed += 1;
      settle();
      this.#times.add(call.record!);
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

  /** Adds to the number of running jobs and places in line. */
  #count(change: 1 | -1): void {
    this.#active += change;
    if (!this.#isRef) this.#pool.unhold(change);
    this.#notifyIdle();
  }

  get #isIdle(): boolean {
    if (this.#active > 0 || this.#running.size > 0) return false;
    return this.pending === 0;
  }

  #notifyIdle(): void {
    if (this.#onIdle !== undefined && this.#isIdle) this.#onIdle();
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

interface ShutdownTerms {
  readonly wait: boolean;
  readonly cancelFutures: boolean;
  /** The number of `killSignal`. */
  readonly signal: number | undefined;
  readonly deadline: Deadline;
}

export function checkShutdown(options: ShutdownOptions): ShutdownTerms {
  const {
    wait = true,
    cancelFutures = false,
    killSignal,
    timeout,
  } = checkOptions(options, shutdownOptions);
  return {
    wait: checkBoolean(wait, 'wait'),
    cancelFutures: checkBoolean(cancelFutures, 'cancelFutures'),
    signal: checkKillSignal(killSignal, 'killSignal'),
    deadline: deadlineAfter(timeout),
  };
}

/** Rejects when the calls of an executor have not ended by the deadline. */
export function ended(end: Promise<void>, deadline: Deadline): Promise<void> {
  const late = (): Error =>
    new Blocked('Calls of the executor have not ended within the time given');
  return inTime(end, deadline, late);
}

export function checkPriority(priority: unknown = 0): number {
  if (typeof priority !== 'number') {
    throw invalidArgument('priority', 'an integer', priority);
  }
  if (!Number.isSafeInteger(priority)) {
    throw outOfRange('priority', 'an integer', priority);
  }
  return priority;
}

function checkOrder(order: unknown = 'fifo'): 'fifo' | 'lifo' {
  if (order === 'fifo' || order === 'lifo') return order;
  const fail = typeof order === 'string' ? invalidValue : invalidArgument;
  throw fail('order', "'fifo' or 'lifo'", order);
}
