// The submitter's side of a cluster: what users hold.
import { availableParallelism } from 'node:os';
import type { RecordableHistogram } from 'node:perf_hooks';
import { inspect } from 'node:util';
import { AbortError, codedError } from '../errors.js';
import {
  type ShutdownOptions,
  type WorkOptions,
  checkPriority,
  checkShutdown,
  ended,
  queuedMapOptions,
  workOptions,
} from '../executor/executor.js';
import type { Executor } from '../executor/interface.js';
import { type ExecutorFuture, QueuedCall } from '../executor/queued-call.js';
import type { Callable } from '../functions/function-ref.js';
import { checkArgs } from '../job/encode-call.js';
import { JobRecord } from '../job/record.js';
import {
  type MapOptions,
  checkMapOptions,
  inputOf,
  only,
} from '../map/input.js';
import type { MapResult } from '../map/reading.js';
import type { Mapping } from '../protocol/order.js';
import { checkNotImporting } from '../protocol/worker-state.js';
import { checkAbortSignal } from '../system/abort.js';
import {
  type OptionNames,
  checkBoolean,
  checkOptions,
} from '../system/options.js';
import { encode, unsendable } from '../wire/value.js';
import {
  type ClusterControls,
  type OwnControls,
  initialOwnControls,
  mergeOwn,
} from './controls.js';
import type { ClusterCall } from './flight.js';
import { type ClusterExecutorOptions, clusterOptions } from './options.js';
import { mostPriority } from './outbox.js';
import { portableOf } from './portable-function.js';
import { Shared } from './shared.js';
import { type HostInfo, hostsOf } from './status.js';

const executorOptions: OptionNames<ClusterExecutorOptions> = {
  ...clusterOptions,
  env: true,
  retries: true,
  detached: true,
};

const notCloneable = (): never => {
  throw new Error('A ClusterExecutor belongs to the process that made it');
};

/**
 * A queue of calls that the hosts of a cluster run: see {@link ClusterHost}. Each call
 * is a job in a process of its own, on one of the machines, and begins at most once
 * unless `retries` says otherwise. Its function is one of a file in `root`, which the
 * hosts have too. Pending and running calls keep the process alive; an idle executor
 * does not.
 *
 * In a job of a cluster, `new ClusterExecutor()` joins the queue of that job.
 *
 * @example
 * ```js
 * import { ClusterExecutor } from 'jobserver/bullmq';
 * import { render } from './render.mjs';
 *
 * const executor = new ClusterExecutor({ connection: 'redis://db' });
 * for await (const image of executor.map(render, scenes)) await store(image);
 * await executor.shutdown();
 * ```
 */
export class ClusterExecutor implements Executor {
  readonly #shared: Shared;
  readonly #controls: OwnControls;

  /** @internal */
  readonly notCloneable = notCloneable;

  /**
   * @throws TypeError or RangeError for an invalid option; ERR_JOBSERVER_CLUSTER when
   * bullmq or ioredis is not installed, and when `root` does not exist;
   * ERR_JOBSERVER_IMPORTING while a job imports its module.
   */
  constructor(options?: ClusterExecutorOptions);
  /** @internal */
  constructor(shared: Shared, controls: OwnControls);
  constructor(
    first: ClusterExecutorOptions | Shared = {},
    controls?: OwnControls,
  ) {
    if (first instanceof Shared) {
      this.#shared = first;
      this.#controls = controls!;
      return;
    }
    checkNotImporting();
    const {
      env,
      retries,
      detached = false,
    } = checkOptions(first, executorOptions);
    checkBoolean(detached, 'detached');
    // Before the connection is opened, because it throws.
    this.#controls = mergeOwn(initialOwnControls(), { env, retries }, '');
    this.#shared = new Shared(first, detached);
  }

  /** The number of calls that no host has begun. */
  get pending(): number {
    return this.#shared.submissions.pending;
  }

  /** The number of calls that a host has begun and that have not ended. */
  get running(): number {
    return this.#shared.submissions.running;
  }

  /** The number of calls that a host has begun and that have ended. */
  get completed(): number {
    return this.#shared.completed;
  }

  /** Nanoseconds from submit to the start of the process, of completed calls. */
  get waitTime(): RecordableHistogram {
    return this.#shared.times.wait;
  }

  /** Nanoseconds from the start of the process to its end. */
  get runTime(): RecordableHistogram {
    return this.#shared.times.run;
  }

  /** Nanoseconds of CPU time of each completed call, where the host measures it. */
  get cpuTime(): RecordableHistogram {
    return this.#shared.times.cpu;
  }

  /**
   * Puts fn(...args) into the queue and returns a promise at once. Function and
   * arguments are captured when `submit` is called. The promise resolves with the value
   * of the job. It rejects with what the job threw; with LostResult when its process
   * died, or when its `host` did or was cut off for longer than `leaseMs`; with
   * ERR_JOBSERVER_FUNCTION when the function is in no file of `root`, or the host has
   * another version of that file; with ERR_JOBSERVER_NOT_SERIALIZABLE for arguments
   * that cannot travel; with ERR_JOBSERVER_REFUSED when the host has another `key`; and
   * with ERR_JOBSERVER_CLUSTER when the server does not do, or when it or the store does
   * not take the call or its result.
   *
   * `cancel()` of the promise takes a pending call back. It also returns true where a
   * host begins the call in this moment: the job is ended then.
   *
   * @example
   * ```js
   * console.log(await executor.submit(square, 7)); // 49
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
   * Like {@link ClusterExecutor.submit}, with an AbortSignal or a priority of less
   * than 2^20. Calls of a job rank above those of the program that has submitted it.
   *
   * @example
   * ```js
   * const signal = AbortSignal.timeout(60_000);
   * await executor.submitWith({ signal, priority: 1 }, render, scene);
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
    const call = this.#submit(options, { fn, args: given, mapping: 'none' });
    return call.promise as ExecutorFuture<Awaited<R>>;
  }

  /**
   * Queues fn(item) for each item, and gives the results in the order of the items, as
   * {@link JobserverExecutor.map} does. `consume` has no effect.
   *
   * @example
   * ```js
   * for await (const n of executor.map(square, [1, 2, 3])) console.log(n);
   * ```
   *
   * @throws as {@link JobserverExecutor.map} does.
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
    portableOf(fn, this.#root);
    const submit = (args: readonly unknown[]): ClusterCall => {
      this.#checkRunning();
      return this.#submit({ signal, priority }, { fn, args, mapping });
    };
    const room = { isFree: () => true, wait: () => Promise.resolve() };
    // How many slots the hosts have, may change at any time.
    const slots = Math.max(16, availableParallelism());
    const plan = { ...terms, slots, isReused: true, submit, room };
    // Required here, because programs that do without start sooner.
    const { mapCalls } =
      require('../executor/map.js') as typeof import('../executor/map.js');
    return mapCalls(inputOf(items, only, terms), plan) as never;
  }

  /**
   * Returns a handle on the same queue whose calls also have these controls. All
   * handles share one connection, and one `shutdown`.
   *
   * @example
   * ```js
   * const limited = executor.with({ runTimeout: 60_000 });
   * ```
   *
   * @throws TypeError or RangeError for an invalid control; ERR_JOBSERVER_CLUSTER for
   * one that does not travel: `sleep`, `preexec`, `preload`, and a `cwd` outside of
   * `root`.
   */
  with(controls: ClusterControls): ClusterExecutor {
    const merged = mergeOwn(this.#controls, controls, this.#root);
    return new ClusterExecutor(this.#shared, merged);
  }

  /**
   * The hosts that are alive.
   *
   * @example
   * ```js
   * for (const { name, running } of await executor.hosts()) console.log(name, running);
   * ```
   *
   * @throws ERR_JOBSERVER_EXECUTOR_SHUTDOWN after `shutdown`.
   */
  async hosts(): Promise<HostInfo[]> {
    this.#checkRunning();
    const { submissions } = this.#shared;
    return submissions.request(() => hostsOf(submissions.connection));
  }

  /**
   * Rejects new calls, waits for the others, and closes the connection; see
   * {@link JobserverExecutor.shutdown}.
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
    const shared = this.#shared;
    shared.isShutdown = true;
    if (cancelFutures) shared.submissions.cancelAll();
    if (signal !== undefined) shared.submissions.signalAll(signal);
    shared.end ??= shared.finish();
    if (wait) await ended(shared.end, deadline);
  }

  /** {@link ClusterExecutor.shutdown}, as `await using` calls it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  /**
   * Lets calls keep the process alive (the default). The opposite of
   * {@link ClusterExecutor.unref}. Returns the executor.
   */
  ref(): this {
    this.#shared.isRef = true;
    return this;
  }

  /** Lets the process end even if calls are left. Returns the executor. */
  unref(): this {
    this.#shared.isRef = false;
    return this;
  }

  /** @internal */
  get [unsendable](): string {
    return 'a ClusterExecutor belongs to the process that made it';
  }

  /** @internal */
  [inspect.custom](): string {
    const state = this.#shared.isShutdown ? 'shutdown' : 'active';
    const { queue } = this.#shared.submissions.connection.settings;
    return (
      `ClusterExecutor(${state}, queue=${queue}, pending=${this.pending}, ` +
      `running=${this.running})`
    );
  }

  get #root(): string {
    return this.#shared.submissions.connection.settings.root;
  }

  #checkRunning(): void {
    if (!this.#shared.isShutdown) return;
    throw codedError(
      'ERR_JOBSERVER_EXECUTOR_SHUTDOWN',
      'The ClusterExecutor has been shut down',
    );
  }

  #submit(options: WorkOptions, { fn, args, mapping }: AnyCall): ClusterCall {
    let call: ClusterCall | undefined;
    try {
      const { signal: given, priority } = checkOptions(options, workOptions);
      const rank = checkPriority(priority) + this.#shared.priority;
      call = new QueuedCall(rank);
      const signal = checkAbortSignal(given);
      const plan = {
        record: new JobRecord(fn),
        fn: portableOf(fn, this.#root),
        mapping,
        args: encode(args, 'args'),
        controls: this.#controls,
        priority: Math.min(mostPriority, Math.max(-mostPriority, rank)),
        signal,
      };
      // Getters among the arguments may have aborted it.
      if (signal?.aborted) call.drop(new AbortError(signal.reason));
      else this.#shared.submissions.submit(call, plan);
    } catch (error) {
      call ??= new QueuedCall(0);
      call.fail(error);
    }
    return call;
  }
}

interface AnyCall {
  readonly fn: unknown;
  readonly args: readonly unknown[];
  readonly mapping: Mapping;
}
