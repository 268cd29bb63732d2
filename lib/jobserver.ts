// The handle that users hold. It checks what they pass, captures it as a `Plan`
// (job/plan.ts), and gives the plan to the pool that it shares with the
// handles derived from it.
import { availableParallelism } from 'node:os';
import { inspect } from 'node:util';
import type { Context } from './context.js';
import { invalidArgument } from './errors.js';
import { type Callable, isNamed } from './functions/function-ref.js';
import { type Controls, initialControls, reuseOf } from './job/controls.js';
import type { Attachments } from './job/attachments.js';
import {
  type Call,
  type Target,
  checkArgs,
  encodeCall,
  startOf,
  targetOf,
} from './job/encode-call.js';
import { type JobControls, merge } from './job/job-controls.js';
import { type Future, futureControl } from './job/future.js';
import { openSlots, shareSlots } from './job/open-slots.js';
import type { PreloadedModule } from './job/preparation.js';
import {
  type SentControls,
  receiveControls,
  sendControls,
} from './job/sent-controls.js';
import type { ProcessUsage } from './usage.js';
import { streamPlanOf } from './job/streams.js';
import {
  type JobRequest,
  borrowingOf,
  checkConsume,
} from './job/waiting-call.js';
import { Pool } from './job/pool.js';
import { JobRecord } from './job/record.js';
import type { Plan } from './job/plan.js';
import { type SleepGate, admitAlways } from './job/submission.js';
import {
  type ArgsOf,
  type MapOptions,
  checkMapOptions,
  inputOf,
  inputOfSync,
  mapOptions,
  only,
  spread,
} from './map/input.js';
import { contextOf } from './launch/launchers.js';
import {
  type Readiness,
  type ReadinessOrder,
  startAhead,
  whenReady,
} from './launch/readiness.js';
import type { MapPlan } from './map/map.js';
import type { MapResult } from './map/reading.js';
import { type EnvAdditions, revise } from './protocol/environment.js';
import type { InheritedSlots } from './protocol/fds.js';
import type { Order } from './protocol/order.js';
import { checkSlots } from './slots/default-count.js';
import type { SlotPipe } from './slots/slot-pipe.js';
import { checkNotImporting } from './protocol/worker-state.js';
import { checkMayStartProcesses } from './system/permission.js';
import { checkAbortSignal, throwIfAborted } from './system/abort.js';
import { deadlineAfter } from './system/deadline.js';
import { type OptionNames, checkOptions } from './system/options.js';
import { type Signal, checkKillSignal } from './system/signals.js';
import { trace } from './system/trace.js';
import { sendable } from './wire/value.js';

/** Options of {@link Jobserver | new Jobserver()}. */
export interface JobserverOptions {
  /**
   * The number of jobs that may run at once, 1 to 4096. Default: the slots of
   * the Jobserver that runs this process as a job; otherwise those of the GNU
   * Make that MAKEFLAGS names; otherwise JOBSERVER_SLOTS; otherwise the smaller
   * of `os.availableParallelism()` and the whole CPUs of the smallest cgroup
   * quota, at least 1.
   */
  slots?: number | undefined;
  /**
   * How the process of a job starts. Default: that of the Jobserver that runs
   * this process as a job; otherwise 'forkserver' on Linux, 'spawn' on macOS.
   */
  context?: Context | undefined;
  /**
   * Modules that the forkserver imports once, before it forks a job: URLs,
   * absolute paths or package names; or objects with such a `module` and `data`,
   * whose export `setUp(data)` is then called, and awaited. A spawned job does
   * this itself before its own call; in the fork context, nothing does.
   *
   * 'auto', in their place or among them, adds the modules of the functions that
   * jobs call: once a job has used one, a forkserver imports it too, if it leaves no
   * open handle, timer or thread. Jobs inherit what its top level has done there.
   *
   * Default: in a job, those of its Jobserver; otherwise none.
   */
  preload?: 'auto' | Iterable<string | URL | PreloadedModule> | undefined;
  /**
   * A function that the forkserver calls, without arguments, after it has imported
   * the modules of `preload`: again and again until it takes no less time, so that
   * V8 compiles what jobs will run, and each job begins with the machine code. It
   * has to do what jobs do, and may return a promise; it must leave no open
   * handle, timer or thread. Until it is done, and if it fails, jobs are forked
   * from a process without it. Default: in a job, that of its Jobserver if
   * `preload` is not given either; otherwise none. The other contexts ignore it.
   */
  warmUp?: Callable<[], unknown> | undefined;
  /**
   * Milliseconds that the calls of `warmUp` may take in all: 0 or more, Infinity:
   * any. Default 60000. No call begins after that, and one that takes longer
   * has failed.
   */
  warmUpTimeout?: number | undefined;
  /**
   * Milliseconds that the forkserver lives on after this Jobserver is closed,
   * for the next one with the same `preload`; 0 or more, Infinity: until this
   * process ends. Default 5000. It ends with this process in any case, and
   * keeps no process alive. The other contexts ignore it.
   */
  forkserverKeepAlive?: number | undefined;
  /**
   * How many jobs a process runs, one after another, before another process
   * takes its place: 1 or more, or Infinity. Default 1, a process for each job,
   * which jobs of the fork context always get. Above 1, a job starts sooner, and
   * finds what earlier jobs have left in globals and in its modules.
   */
  jobsPerProcess?: number | undefined;
  /**
   * Milliseconds after which a process without a job ends, where processes run
   * several; 0 or more, Infinity: when the Jobserver is closed. Default 5000.
   */
  idleTimeout?: number | undefined;
  /**
   * Bytes of resident memory that a process may have gained since its start,
   * where processes run several jobs: above 0, Infinity: any. Default Infinity.
   * One that has gained more after a job ends, and another takes its place.
   */
  maxProcessMemory?: number | undefined;
  /**
   * The signal that a job gets when the process that submitted it dies (Linux).
   * Default 'SIGTERM'; null lets the job continue.
   */
  orphanSignal?: Signal | null | undefined;
  /**
   * The signal that running jobs get when `await using` closes this Jobserver; see
   * {@link CloseOptions.killSignal}. Default: none, so that it waits for them.
   */
  closeSignal?: Signal | undefined;
}

/**
 * Options of {@link Jobserver.close}.
 *
 * @example
 * ```ts
 * await jobserver.close({ killSignal: 'SIGTERM' });
 * ```
 */
export interface CloseOptions {
  /**
   * A signal that the running jobs get. A job that has not ended after
   * {@link JobControls.killGrace} gets SIGKILL. Default: none.
   */
  killSignal?: Signal | undefined;
}

const closeOptions: OptionNames<CloseOptions> = { killSignal: true };

/** Options of {@link Jobserver.submit} and {@link Jobserver.submitSync}. */
export interface SubmitOptions {
  /**
   * Milliseconds to wait for a slot and the sleep gate; then Blocked is thrown.
   * Default: no limit.
   */
  timeout?: number | undefined;
  /**
   * Slots that the job takes: 1 or 0. Default: 1, which in a job of the pool may
   * be the slot of that job itself, if it has waited for another one; 1 demands
   * another one. 'own' takes the slot of that job at once, and another one only
   * where a job runs in it already; outside of a job it means 1.
   */
  consume?: 0 | 1 | 'own' | undefined;
  /**
   * Aborting ends the wait for a slot, or the running job (SIGTERM, then
   * SIGKILL after {@link JobControls.killGrace}); the outcome is an AbortError.
   */
  signal?: AbortSignal | undefined;
}

const jobserverOptions: OptionNames<JobserverOptions> = {
  slots: true,
  context: true,
  preload: true,
  warmUp: true,
  warmUpTimeout: true,
  forkserverKeepAlive: true,
  jobsPerProcess: true,
  idleTimeout: true,
  maxProcessMemory: true,
  orphanSignal: true,
  closeSignal: true,
};
// Required here, because programs that do without start sooner.
const maps = (): typeof import('./map/map.js') =>
  require('./map/map.js') as typeof import('./map/map.js');

const submitOptions: OptionNames<SubmitOptions> = {
  timeout: true,
  consume: true,
  signal: true,
};

// Structured clone rejects an object with a function as a property; see Future.
const notCloneable = (): never => {
  throw new Error('A Jobserver can be sent to its own jobs only');
};

/** What an executor needs from the Jobserver it queues calls for. */
interface JobserverControl {
  /** The target of a function. Throws as `map` does. */
  target(jobserver: Jobserver, fn: unknown): Target;
  /** Makes the plan of a call. Throws what `submit` throws for it. */
  plan(jobserver: Jobserver, call: Call, signal: AbortSignal | undefined): Plan;
  pool(jobserver: Jobserver): Pool;
  gate(jobserver: Jobserver): SleepGate;
  /** Whether a process may have a job before it has a slot. */
  sendsAhead(jobserver: Jobserver): boolean;
}

export let jobserverControl: JobserverControl;

/**
 * A pool of slots, and a handle to start jobs in them.
 *
 * `new Jobserver()` without `slots` joins the pool that runs this process as a
 * job, or the job server of a GNU Make; otherwise it makes a new pool. So
 * nested work shares one pool even if no handle is passed. A handle can also be
 * an argument of a job, or a part of one: the job receives a Jobserver on the
 * same slots. A job that waits while no slot is free lends its own slot to one
 * of its jobs.
 *
 * @example
 * ```js
 * import { Jobserver, isWorker } from 'jobserver';
 *
 * export const square = (n) => n * n;
 *
 * if (!isWorker) {
 *   const jobserver = new Jobserver({ slots: 4 });
 *   console.log(await jobserver.run(square, 7)); // 49
 *   await jobserver.close();
 * }
 * ```
 */
export class Jobserver implements Disposable, AsyncDisposable {
  static {
    jobserverControl = {
      target: (jobserver, fn) => {
        const target = jobserver.#target(fn);
        jobserver.#pool.checkOpen();
        return target;
      },
      plan: (jobserver, call, signal) => {
        jobserver.#pool.checkOpen();
        return jobserver.#plan(call, signal);
      },
      pool: (jobserver) => jobserver.#pool,
      gate: (jobserver) => jobserver.#controls.gate,
      sendsAhead: (jobserver) => jobserver.#sendsAhead,
    };
  }

  readonly #pool: Pool;
  readonly #controls: Controls;

  /** @internal */
  readonly notCloneable = notCloneable;

  /**
   * @throws TypeError or RangeError for an invalid option;
   * ERR_JOBSERVER_NOT_SERIALIZABLE for data of `preload`; an Error with code
   * ERR_JOBSERVER_FORK where the fork context is not possible, and with code
   * ERR_JOBSERVER_IMPORTING while a job imports its module; a system error
   * when no pipe can be opened.
   */
  constructor(options?: JobserverOptions);
  /** @internal */
  constructor(pool: Pool, controls: Controls);
  constructor(first: JobserverOptions | Pool = {}, derived?: Controls) {
    if (first instanceof Pool) {
      this.#pool = first;
      this.#controls = derived!;
      return;
    }
    checkNotImporting();
    checkOptions(first, jobserverOptions);
    this.#controls = initialControls(first);
    this.#pool = new Pool(openSlots(first.slots));
    trace('Jobserver with %s slots', this.slots ?? 'an unknown number of');
  }

  /**
   * How the processes of its jobs start. 'spawn' instead of 'forkserver' where
   * the forkserver cannot start, in some cases only once a job has shown that;
   * the warning JOBSERVER_NO_FORKSERVER says why.
   */
  get context(): Context {
    return contextOf(startOf(this.#controls));
  }

  /**
   * What the jobs have used that were submitted through the handles of this pool, in
   * this process: the sum of all their processes that have ended, and the highest
   * peak of memory among these.
   *
   * @example
   * ```js
   * const { user, system } = jobserver.usage;
   * console.log(`${Math.round(user + system)} ms of CPU time`);
   * ```
   */
  get usage(): ProcessUsage {
    return this.#pool.usage;
  }

  /**
   * The number of slots; undefined when GNU Make owns the pool. In a job, what it
   * was when the process of the job started.
   */
  get slots(): number | undefined {
    return this.#pool.slots.count;
  }

  /**
   * Changes the number of slots. More can be used at once; fewer take effect as
   * jobs end, and no job is ended for it. For all handles and jobs that share the
   * pool, but only in the process that has made it.
   *
   * @example
   * ```js
   * jobserver.resize(2); // the machine is needed for something else
   * ```
   *
   * @param slots 1 to 4096.
   * @throws TypeError or RangeError for an invalid number; ERR_JOBSERVER_CLOSED;
   * ERR_JOBSERVER_JOINED in a pool that another process has made.
   */
  resize(slots: number): void {
    this.#pool.resize(checkSlots(slots));
    trace('Jobserver with %d slots', slots);
  }

  /**
   * The number of unfinished jobs that this process has started in the pool. A
   * killed job counts until no job of its own runs in its slot.
   */
  get running(): number {
    return this.#pool.running;
  }

  /**
   * Prepares for the first job, which then starts sooner, and resolves with how it
   * will start: 'warm', forked from a process that has run `warmUp`; 'cold',
   * forked from one that has not, because there is no warm-up or it has failed;
   * 'spawn', in a new node; 'fork', forked from this process.
   *
   * @example
   * ```js
   * const jobserver = new Jobserver({ preload: ['typescript'], warmUp });
   * console.log(await jobserver.ready()); // 'warm'
   * ```
   *
   * @throws what a module of `preload` throws; ERR_JOBSERVER_PRELOAD;
   * ERR_JOBSERVER_CLOSED; a system error when no process can be started.
   */
  async ready(): Promise<Readiness> {
    this.#pool.checkOpen();
    const readiness = await whenReady(this.#start);
    this.#pool.checkOpen();
    return readiness;
  }

  /**
   * Waits for a slot, starts fn(...args) in a process, and resolves with the
   * Future of the job. Function, arguments, environment and working directory
   * are captured when `submit` is called.
   *
   * @example
   * ```js
   * const future = await jobserver.submit(square, [7], { timeout: 1000 });
   * console.log(await future.result()); // 49
   * ```
   *
   * @param fn an exported function, or 'module#export' as a URL or string.
   * @throws Blocked when the timeout passes first; TypeError or RangeError for
   * invalid arguments, for a function that no other process can import
   * (ERR_JOBSERVER_FUNCTION) and for arguments that cannot be serialized
   * (ERR_JOBSERVER_NOT_SERIALIZABLE); ERR_JOBSERVER_CLOSED; AbortError;
   * CallbackRaised when a whenDone callback of another future has thrown; a
   * system error when no process can be started.
   */
  async submit<A extends unknown[], R>(
    fn: Callable<A, R>,
    args?: A,
    options: SubmitOptions = {},
  ): Promise<Future<Awaited<R>>> {
    const request = this.#requestFor(fn, args, options);
    return new Promise((resolve, reject) => {
      this.#pool.submit(request, (admission) => {
        if ('future' in admission) resolve(admission.future as never);
        else reject(admission.error);
      });
    });
  }

  /**
   * Like {@link Jobserver.submit}, but blocks the thread and needs no event
   * loop.
   */
  submitSync<A extends unknown[], R>(
    fn: Callable<A, R>,
    args?: A,
    options: SubmitOptions = {},
  ): Future<Awaited<R>> {
    const request = this.#requestFor(fn, args, options);
    return this.#pool.submitSync(request) as Future<Awaited<R>>;
  }

  /**
   * Submits fn(...args) and resolves with its result.
   *
   * @example
   * ```js
   * console.log(await jobserver.run(square, 7)); // 49
   * ```
   *
   * @throws as `submit` and `Future.result` do.
   */
  run<A extends unknown[], R>(
    fn: Callable<A, R>,
    ...args: A
  ): Promise<Awaited<R>> {
    return new Promise((resolve, reject) => {
      const request = this.#requestFor(fn, args, {});
      this.#pool.submit(request, (admission) => {
        if ('error' in admission) reject(admission.error);
        else futureControl.follow(admission.future, resolve as never, reject);
      });
    });
  }

  /**
   * Calls fn(item) for each item, each call in a job of its own or `chunkSize`
   * calls in one job ('auto': as many as are worth a job), and gives the results
   * in the order of the items, or with `ordered: false` as they complete. The
   * first job starts when the first result is requested; then jobs start while
   * the reader is busy. After the reader leaves the loop no further job starts,
   * and running jobs go on. With `settled: true`, the iterator yields a
   * {@link SettledItem} for each item, and goes on after errors.
   *
   * @example
   * ```js
   * for await (const n of jobserver.map(square, [1, 2, 3])) console.log(n);
   * ```
   *
   * @throws at once for invalid arguments. The iterator throws what fn threw,
   * in the place of its result; Blocked when the timeout passes; LostResult with
   * the indexes of the lost `items`; otherwise what `submit` throws.
   */
  map<T, R, S extends boolean = false>(
    fn: Callable<[T], R>,
    items: Iterable<T> | AsyncIterable<T>,
    options: MapOptions<S> = {},
  ): AsyncGenerator<MapResult<T, Awaited<R>, S>> {
    return this.#mapAsync(fn, items, options, only);
  }

  /**
   * Like {@link Jobserver.map}, but blocks the thread and needs no event loop.
   */
  mapSync<T, R, S extends boolean = false>(
    fn: Callable<[T], R>,
    items: Iterable<T>,
    options: MapOptions<S> = {},
  ): Generator<MapResult<T, Awaited<R>, S>> {
    return this.#mapSync(fn, items, options, only);
  }

  /**
   * Like {@link Jobserver.map}, but each item is a list of arguments: calls
   * fn(...item).
   *
   * @example
   * ```js
   * const pairs = [[2, 3], [2, 4]];
   * for await (const n of jobserver.starmap(Math.pow, pairs)) console.log(n);
   * ```
   *
   * @throws as `map` does.
   */
  starmap<A extends unknown[], R, S extends boolean = false>(
    fn: Callable<A, R>,
    argses: Iterable<A> | AsyncIterable<A>,
    options: MapOptions<S> = {},
  ): AsyncGenerator<MapResult<A, Awaited<R>, S>> {
    return this.#mapAsync(fn, argses, options, spread);
  }

  /**
   * Like {@link Jobserver.starmap}, but blocks the thread and needs no event
   * loop.
   */
  starmapSync<A extends unknown[], R, S extends boolean = false>(
    fn: Callable<A, R>,
    argses: Iterable<A>,
    options: MapOptions<S> = {},
  ): Generator<MapResult<A, Awaited<R>, S>> {
    return this.#mapSync(fn, argses, options, spread);
  }

  /**
   * Returns a handle on the same pool that differs in these controls, for the
   * jobs that are submitted through it. Other controls stay as they are.
   *
   * @example
   * ```js
   * const quick = jobserver.with({ jobsPerProcess: Infinity });
   * for await (const n of quick.map(square, [1, 2, 3])) console.log(n);
   * ```
   *
   * @throws TypeError or RangeError for an invalid control.
   */
  with(controls: JobControls): Jobserver {
    return this.#derive(merge(this.#controls, controls));
  }

  /**
   * Returns a handle on the same pool whose jobs also get these environment
   * variables; null unsets a variable. Earlier revisions stay in force.
   *
   * @example
   * ```js
   * await jobserver.reviseEnv({ LEVEL: '2' }).run(build);
   * ```
   *
   * @throws TypeError for an invalid name or value.
   */
  reviseEnv(additions: EnvAdditions): Jobserver {
    const env = revise(this.#controls.env, additions);
    return this.#derive({ ...this.#controls, env });
  }

  /**
   * Returns a handle on the same pool whose jobs call fn(...args) in their
   * process before the submitted function. `fn` may return a Disposable or
   * AsyncDisposable, which is disposed of after that function. Replaces an
   * earlier preexec.
   *
   * @example
   * ```js
   * await jobserver.replacePreexec(process.chdir, '/tmp').run(build);
   * ```
   *
   * @throws TypeError for a function that no other process can import.
   */
  replacePreexec<A extends unknown[]>(
    fn: Callable<A, unknown>,
    ...args: A
  ): Jobserver {
    const target = targetOf(fn, this.#controls.context);
    return this.#derive({ ...this.#controls, preexec: { target, args } });
  }

  /**
   * Returns a handle on the same pool that calls `fn` in this process before it
   * takes a slot. When `fn` returns undefined, the job is admitted; a number is
   * how many milliseconds to wait before `fn` is called again. Replaces an
   * earlier gate.
   *
   * @example
   * ```js
   * const gate = () => (os.freemem() < 2 ** 30 ? 100 : undefined);
   * await jobserver.replaceSleep(gate).run(build);
   * ```
   *
   * @throws TypeError when fn is not a function.
   */
  replaceSleep(fn: SleepGate): Jobserver {
    if (typeof fn !== 'function') {
      throw invalidArgument('fn', 'a function', fn);
    }
    return this.with({ sleep: fn });
  }

  /**
   * Handles the jobs that have finished: gives their slots back and runs their
   * callbacks. Does not wait. The event loop does the same by itself.
   *
   * @example
   * ```js
   * while (jobserver.running > 0) {
   *   doOtherWork();
   *   jobserver.reclaimResources();
   * }
   * ```
   *
   * @throws CallbackRaised, one per call; ERR_JOBSERVER_CLOSED.
   */
  reclaimResources(): void {
    this.#pool.checkOpen();
    this.#pool.reclaim();
    this.#pool.throwCallbackError();
  }

  /**
   * Rejects new calls and calls that wait for a slot, waits for the running
   * jobs, and closes the pool in this process, for all handles that share it.
   * See {@link Jobserver} for an example. In a pool of GNU Make, it also waits for the jobs
   * of jobs that were killed, because make needs their slots.
   *
   * @param options - Whether the running jobs are to end first.
   * @throws TypeError or RangeError for an invalid option; CallbackRaised for the first callback that threw and whose error no
   * call has received, after everything is closed; further errors become
   * warnings.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    const { killSignal } = checkOptions(options, closeOptions);
    await this.#close(checkKillSignal(killSignal, 'killSignal'));
  }

  async #close(signal: number | undefined): Promise<void> {
    this.#pool.refuse();
    if (signal !== undefined) this.#pool.terminate(signal);
    await this.#pool.drain();
    this.#pool.reportCallbackErrors();
  }

  /**
   * Like {@link Jobserver.close}, but does not wait for running jobs: they go
   * on, their futures stay usable, and their slots are given back when they
   * end.
   *
   * @example
   * ```ts
   * {
   *   using jobserver = new Jobserver({ slots: 2 });
   *   console.log(jobserver.submitSync(square, [7]).resultSync());
   * } // closeSync()
   * ```
   *
   * @throws as `close` does.
   */
  closeSync(): void {
    if (this.#pool.isClosed) return;
    this.#pool.reclaim();
    this.#pool.refuse();
    this.#pool.reportCallbackErrors();
  }

  /**
   * {@link Jobserver.close}, as `await using` calls it: it waits for the running jobs,
   * also when an error has left the block, because it cannot see that. With the option
   * `closeSignal`, they get that signal first.
   *
   * @example
   * ```ts
   * await using jobserver = new Jobserver({ slots: 2 });
   * console.log(await jobserver.run(square, 7));
   * ```
   */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#close(this.#controls.closeSignal);
  }

  /** {@link Jobserver.closeSync}, as `using` calls it. */
  [Symbol.dispose](): void {
    this.closeSync();
  }

  /** @internal */
  [sendable](attachments: Attachments): SentJobserver {
    this.#pool.checkOpen();
    const { slots } = this.#pool;
    const { slotPipes } = attachments;
    const isSame = ({ identity }: SlotPipe): boolean =>
      identity === slots.identity;
    if (!slotPipes.some(isSame)) slotPipes.push(slots);
    return {
      slotPipe: slotPipes.findIndex(isSame),
      controls: sendControls(this.#controls, attachments),
    };
  }

  /** @internal */
  [inspect.custom](): string {
    return `Jobserver('${this.context}', running=${this.running})`;
  }

  #derive(controls: Controls): Jobserver {
    return new Jobserver(this.#pool, controls);
  }

  #requestFor(fn: unknown, args: unknown, options: SubmitOptions): JobRequest {
    const target = this.#target(fn);
    const call = {
      target,
      fn,
      args: checkArgs(args),
      mapping: 'none',
    } as const;
    checkOptions(options, submitOptions);
    this.#pool.checkOpen();
    const deadline = deadlineAfter(options.timeout);
    const given = checkConsume(options.consume);
    const borrowing = borrowingOf(given);
    const consume = given === 0 ? 0 : 1;
    const signal = checkAbortSignal(options.signal);
    const plan = this.#plan(call, signal);
    try {
      throwIfAborted(signal);
      this.#pool.throwCallbackError();
    } catch (error) {
      for (const port of plan.order.ports ?? []) port.end(undefined);
      throw error;
    }
    const { gate } = this.#controls;
    const receivesCallbackErrors = true;
    // No spread, which gives each object a hidden class of its own.
    return {
      consume,
      borrowing,
      deadline,
      plan,
      signal,
      gate,
      receivesCallbackErrors,
    };
  }

  #target(fn: unknown): Target {
    checkNotImporting();
    checkMayStartProcesses();
    // Before the search for the name, which takes time, too.
    if (!isNamed(fn) && this.#pool.isOpen) startAhead(this.#start);
    return targetOf(fn, this.#controls.context);
  }

  get #start(): ReadinessOrder {
    return {
      ...startOf(this.#controls),
      slotPipes: [this.#pool.slots],
      keepAlive: this.#controls.forkserverKeepAlive,
    };
  }

  #plan(call: Call, signal: AbortSignal | undefined): Plan {
    const controls = this.#controls;
    const { order, functions } = encodeCall(call, controls, this.#pool.slots);
    const reuse = reuseOf(controls);
    const record = new JobRecord(call.fn, releaseOf(order));
    const calls = call.mapping === 'none' ? 0 : call.args.length;
    return {
      order,
      functions,
      reuse,
      bounds: controls,
      streams: streamPlanOf(controls),
      listener: controls.listener,
      signal,
      record,
      calls,
    };
  }

  // A gate is asked for each call when there is a slot.
  get #sendsAhead(): boolean {
    const { gate } = this.#controls;
    return reuseOf(this.#controls) !== undefined && gate === admitAlways;
  }

  #mapAsync(
    fn: unknown,
    items: unknown,
    options: MapOptions<boolean>,
    argsOf: ArgsOf,
  ): AsyncGenerator<never> {
    const plan = this.#planMap(fn, options);
    return maps().mapAsync(inputOf(items, argsOf, plan), plan) as never;
  }

  #mapSync(
    fn: unknown,
    items: unknown,
    options: MapOptions<boolean>,
    argsOf: ArgsOf,
  ): Generator<never> {
    const plan = this.#planMap(fn, options);
    return maps().mapSync(inputOfSync(items, argsOf, plan), plan) as never;
  }

  #planMap(fn: unknown, options: MapOptions<boolean>): MapPlan {
    const terms = checkMapOptions(checkOptions(options, mapOptions));
    const target = this.#target(fn);
    this.#pool.checkOpen();
    const { deadline, signal, mapping } = terms;
    const { gate } = this.#controls;
    const borrowing = borrowingOf(terms.consume);
    const consume = terms.consume === 0 ? 0 : 1;
    const conditions = { consume, borrowing, gate, deadline, signal } as const;
    return {
      ...terms,
      slots: this.slots ?? availableParallelism(),
      isReused: this.#sendsAhead,
      submit: (args, onAdmission) => {
        this.#pool.checkOpen();
        throwIfAborted(signal);
        const call = { target, fn, args, mapping };
        const plan = this.#plan(call, signal);
        const receivesCallbackErrors = false;
        const request = { ...conditions, plan, receivesCallbackErrors };
        return this.#pool.submit(request, (admission) => {
          onAdmission(admission, plan.record);
        });
      },
      reclaim: () => {
        this.#pool.reclaim();
      },
    };
  }
}

/** What is done when the order is not needed any more. */
function releaseOf({ enclosures, ports }: Order): (() => void) | undefined {
  if (ports === undefined) return enclosures && (() => enclosures.end());
  return () => {
    enclosures?.end();
    for (const port of ports) port.end(undefined);
  };
}

/** A handle as plain data. */
interface SentJobserver {
  /** Index among the slot pipes that the job inherits. */
  readonly slotPipe: number;
  readonly controls: SentControls;
}

/** In a job: makes a handle from data that `[sendable]` returned. */
export function reviveJobserver(
  data: unknown,
  slotPipes: readonly InheritedSlots[],
  imports: readonly unknown[],
): Jobserver {
  const sent = data as SentJobserver;
  const revive = (inner: unknown): object =>
    reviveJobserver(inner, slotPipes, imports);
  const controls = receiveControls(sent.controls, imports, revive);
  const pool = new Pool(shareSlots(slotPipes[sent.slotPipe]!));
  return new Jobserver(pool, controls);
}
