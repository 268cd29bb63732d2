// The handle that users hold: checks what they give, captures it as a plan, and
// leaves the rest to the Resources that it shares with the handles derived
// from it.
import { inspect } from 'node:util';
import { checkAbortSignal, throwIfAborted } from './system/abort.js';
import type { Context } from './context.js';
import {
  type Call,
  type Controls,
  type Passage,
  checkArgs,
  checkCallable,
  initialControls,
  orderOf,
  receiveControls,
  sendControls,
} from './job/controls.js';
import { type Deadline, deadlineAfter } from './system/deadline.js';
import { type EnvAdditions, revise } from './protocol/environment.js';
import { checkOptions, invalidArgument, outOfRange } from './errors.js';
import { duplicate } from './system/fd.js';
import type { Callable } from './functions/function-ref.js';
import type { Future } from './job/future.js';
import { JobRecord } from './job/record.js';
import { launchers } from './launch/index.js';
import { joinMake } from './slots/make-client.js';
import { type MapPlan, mapAsync, mapSync } from './map/map.js';
import {
  type ArgsOf,
  type MapOptions,
  checkMapOptions,
  chunksOf,
  chunksOfSync,
  only,
  spread,
} from './map/input.js';
import { Resources } from './job/pool.js';
import type { Signal } from './system/signals.js';
import { checkSlots, defaultSlots } from './slots/default-count.js';
import { SlotPipe } from './slots/slot-pipe.js';
import type { Plan, SleepGate, Terms } from './job/submission.js';
import { trace } from './system/trace.js';
import { sendable } from './wire/value.js';
import { checkNotImporting, workerState } from './protocol/worker-state.js';

/** What a Jobserver is made of. */
export interface JobserverOptions {
  /**
   * Jobs that may run at once, 1 to 4096. Default: the Jobserver this process
   * is a job of; otherwise the job server of the GNU Make that runs this
   * process, by MAKEFLAGS; otherwise JOBSERVER_SLOTS, or the
   * smaller of os.availableParallelism() and the whole CPUs of the smallest
   * cgroup quota, at least 1.
   */
  slots?: number | undefined;
  /** How a job's process starts. Default: 'forkserver' on Linux, 'spawn' on macOS. */
  context?: Context | undefined;
  /**
   * forkserver: modules to import once, before any job is forked; the other
   * contexts take no notice.
   */
  preload?: Iterable<string | URL> | undefined;
  /**
   * Signal that a job gets when the process that submitted it dies (Linux).
   * Default 'SIGTERM'; null leaves orphans running.
   */
  orphanSignal?: Signal | null | undefined;
}

/** For one job. */
export interface SubmitOptions {
  /** Longest wait in ms for a slot and for the sleep gate, then Blocked. */
  timeout?: number | undefined;
  /** Slots the job takes, default 1; 0 runs it beside the others. */
  consume?: 0 | 1 | undefined;
  /**
   * Aborting stops the wait, or ends the running job (SIGTERM, after 5 s
   * SIGKILL); the outcome is an AbortError.
   */
  signal?: AbortSignal | undefined;
}

// An own property that structured clone refuses: see Future.
const notCloneable = (): never => {
  throw new Error('A Jobserver travels to its jobs only');
};

/** For the executor: what it needs of a handle to queue calls for it. */
interface JobserverControl {
  /** Throws what `map` throws for a function. */
  check(jobserver: Jobserver, fn: unknown): void;
  /** Captures a call as `submit` does, with the same errors. */
  plan(jobserver: Jobserver, call: Call, signal: AbortSignal | undefined): Plan;
  resources(jobserver: Jobserver): Resources;
  gate(jobserver: Jobserver): SleepGate;
}

export let jobserverControl: JobserverControl;

/**
 * Slots, and the right to start jobs in them.
 *
 * `new Jobserver()` without `slots` joins the Jobserver that this process is a
 * job of, or the job server of a GNU Make; otherwise it makes a pool of its own.
 * So nested work shares one pool, even when no handle is passed along. A handle may also be passed as an
 * argument, or deep inside of one: it arrives as a working Jobserver on the
 * same slots, without any futures.
 */
export class Jobserver implements Disposable, AsyncDisposable {
  static {
    jobserverControl = {
      check: (jobserver, fn) => {
        jobserver.#check(fn);
      },
      plan: (jobserver, call, signal) => {
        jobserver.#check(call.fn);
        return jobserver.#plan(call, signal);
      },
      resources: (jobserver) => jobserver.#resources,
      gate: (jobserver) => jobserver.#controls.gate,
    };
  }

  readonly #resources: Resources;
  readonly #controls: Controls;

  /** @internal */
  readonly notCloneable = notCloneable;

  /**
   * @throws TypeError or RangeError for an invalid option; an Error with code
   * ERR_JOBSERVER_IMPORTING while a job imports its module; a system error
   * when no pipe can be opened.
   */
  constructor(options?: JobserverOptions);
  /** @internal */
  constructor(resources: Resources, controls: Controls);
  constructor(first: JobserverOptions | Resources = {}, derived?: Controls) {
    if (first instanceof Resources) {
      this.#resources = first;
      this.#controls = derived!;
      return;
    }
    checkNotImporting();
    checkOptions(first);
    this.#controls = initialControls(first);
    this.#resources = new Resources(slotsFor(first.slots));
    trace('Jobserver with %s slots', this.slots ?? 'an unknown number of');
  }

  /** How the processes of its jobs start. */
  get context(): Context {
    return this.#controls.context;
  }

  /** Slots of the pool; undefined where the owner of the pool does not tell. */
  get slots(): number | undefined {
    return this.#resources.slots.count;
  }

  /** Jobs that this process has started here and not yet seen finished. */
  get running(): number {
    return this.#resources.running;
  }

  /**
   * Starts fn(...args) in a process of its own as soon as there is a slot, and
   * settles then: with the Future of the job. Function, arguments, environment
   * and working directory are captured at the call.
   *
   * @param fn an exported function, or 'module#export' as a URL or string.
   * @throws Blocked when the time is up first; TypeError or RangeError for
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
    const { terms, deadline } = this.#planCall(fn, args, options);
    return new Promise((resolve, reject) => {
      this.#resources.submit(terms, deadline, (settled) => {
        if ('future' in settled) resolve(settled.future as never);
        else reject(settled.error);
      });
    });
  }

  /** `submit` for callers without an event loop: blocks the thread. */
  submitSync<A extends unknown[], R>(
    fn: Callable<A, R>,
    args?: A,
    options: SubmitOptions = {},
  ): Future<Awaited<R>> {
    const { terms, deadline } = this.#planCall(fn, args, options);
    return this.#resources.submitSync(terms, deadline) as Future<Awaited<R>>;
  }

  /** Submits fn(...args) and resolves with its result: the everyday form. */
  async run<A extends unknown[], R>(
    fn: Callable<A, R>,
    ...args: A
  ): Promise<Awaited<R>> {
    const future = await this.submit(fn, args);
    return future.result();
  }

  /**
   * fn(item) for each item, each in a job of its own (or `chunkSize` of them in
   * one), results in the order of the items. Nothing starts before the first
   * result is asked for; then work goes on while the reader is busy. Leaving
   * the loop early starts no more; what runs goes on.
   *
   * @throws at once for invalid arguments; from the iterator what fn threw, at
   * its place; Blocked when the time is up; otherwise as `submit` does.
   */
  map<T, R>(
    fn: Callable<[T], R>,
    items: Iterable<T> | AsyncIterable<T>,
    options: MapOptions = {},
  ): AsyncGenerator<Awaited<R>> {
    return this.#mapAsync(fn, items, options, only);
  }

  /** `map` for callers without an event loop: blocks the thread. */
  mapSync<T, R>(
    fn: Callable<[T], R>,
    items: Iterable<T>,
    options: MapOptions = {},
  ): Generator<Awaited<R>> {
    return this.#mapSync(fn, items, options, only);
  }

  /** `map` that spreads each item as the list of arguments. */
  starmap<A extends unknown[], R>(
    fn: Callable<A, R>,
    argses: Iterable<A> | AsyncIterable<A>,
    options: MapOptions = {},
  ): AsyncGenerator<Awaited<R>> {
    return this.#mapAsync(fn, argses, options, spread);
  }

  /** `starmap` for callers without an event loop: blocks the thread. */
  starmapSync<A extends unknown[], R>(
    fn: Callable<A, R>,
    argses: Iterable<A>,
    options: MapOptions = {},
  ): Generator<Awaited<R>> {
    return this.#mapSync(fn, argses, options, spread);
  }

  /**
   * A handle whose jobs also get these variables; null unsets one. Merges onto
   * earlier revisions.
   */
  reviseEnv(additions: EnvAdditions): Jobserver {
    return this.#derive({ env: revise(this.#controls.env, additions) });
  }

  /**
   * A handle whose jobs call preexec(...args) in their process just before fn.
   * It may return a Disposable or AsyncDisposable, released after fn. Replaces
   * an earlier one.
   */
  replacePreexec<A extends unknown[]>(
    fn: Callable<A, unknown>,
    ...args: A
  ): Jobserver {
    checkCallable(fn, this.#controls);
    return this.#derive({ preexec: { fn, args } });
  }

  /**
   * A handle that asks `fn`, in this process, before it takes a slot: undefined
   * admits the job, a number is how many milliseconds to wait before asking
   * again. Replaces an earlier one.
   */
  replaceSleep(fn: SleepGate): Jobserver {
    if (typeof fn !== 'function') {
      throw invalidArgument('fn', 'a function', fn);
    }
    return this.#derive({ gate: fn });
  }

  /**
   * Looks at all running jobs once: collects what has finished, gives slots
   * back and issues callbacks. Never waits.
   *
   * @throws CallbackRaised, one for each call; ERR_JOBSERVER_CLOSED.
   */
  reclaimResources(): void {
    this.#resources.checkOpen();
    this.#resources.reclaim();
    this.#resources.throwRaised();
  }

  /**
   * Refuses new work, also that which waits for a slot, waits for what runs,
   * and gives everything back. Closing any handle closes those that share its
   * slots in this process.
   *
   * @throws CallbackRaised for the first failure of a callback that nobody has
   * fetched, after everything is closed; the others become warnings.
   */
  async close(): Promise<void> {
    this.#resources.refuse();
    await this.#resources.drain();
    this.#resources.reportRaised();
  }

  /**
   * Refuses new work and reclaims what has finished; what still runs goes on,
   * its Future stays usable and its slot is given back.
   *
   * @throws as `close` does.
   */
  closeSync(): void {
    if (this.#resources.isClosed) return;
    this.#resources.reclaim();
    this.#resources.refuse();
    this.#resources.reportRaised();
  }

  /** `close()`, as `await using` calls it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** `closeSync()`, as `using` calls it. */
  [Symbol.dispose](): void {
    this.closeSync();
  }

  /** @internal */
  [sendable](passage: Passage): SentJobserver {
    this.#resources.checkOpen();
    const { slots } = this.#resources;
    if (!passage.slotPipes.includes(slots)) passage.slotPipes.push(slots);
    return {
      slotPipe: passage.slotPipes.indexOf(slots),
      controls: sendControls(this.#controls, passage),
    };
  }

  /** @internal */
  [inspect.custom](): string {
    return `Jobserver('${this.context}', running=${this.running})`;
  }

  #derive(changes: Partial<Controls>): Jobserver {
    const controls = { ...this.#controls, ...changes };
    return new Jobserver(this.#resources, controls);
  }

  #planCall(
    fn: unknown,
    args: unknown,
    options: SubmitOptions,
  ): { terms: Terms; deadline: Deadline } {
    checkNotImporting();
    checkCallable(fn, this.#controls);
    const call = { fn, args: checkArgs(args), isMapped: false };
    checkOptions(options);
    this.#resources.checkOpen();
    const deadline = deadlineAfter(options.timeout);
    const { consume = 1 } = options;
    if (consume !== 0 && consume !== 1) {
      throw outOfRange('consume', '0 or 1', consume);
    }
    const signal = checkAbortSignal(options.signal);
    const plan = this.#plan(call, signal);
    throwIfAborted(signal);
    this.#resources.throwRaised();
    const { gate } = this.#controls;
    const terms = { ...termsOf(plan, gate), consume, hearsRaised: true };
    return { terms, deadline };
  }

  #check(fn: unknown): void {
    checkNotImporting();
    checkCallable(fn, this.#controls);
    this.#resources.checkOpen();
  }

  #plan(call: Call, signal: AbortSignal | undefined): Plan {
    const order = orderOf(call, this.#controls, this.#resources.slots);
    const launcher = launchers[this.#controls.context];
    return { order, launcher, signal, record: new JobRecord(call.fn) };
  }

  #mapAsync<R>(
    fn: unknown,
    items: unknown,
    options: MapOptions,
    argsOf: ArgsOf,
  ): AsyncGenerator<Awaited<R>> {
    const plan = this.#planMap(fn, options);
    return mapAsync(chunksOf(items, argsOf, plan), plan) as never;
  }

  #mapSync<R>(
    fn: unknown,
    items: unknown,
    options: MapOptions,
    argsOf: ArgsOf,
  ): Generator<Awaited<R>> {
    const plan = this.#planMap(fn, options);
    return mapSync(chunksOfSync(items, argsOf, plan), plan) as never;
  }

  #planMap(fn: unknown, options: MapOptions): MapPlan {
    const terms = checkMapOptions(options);
    this.#check(fn);
    const { deadline, signal } = terms;
    return {
      ...terms,
      submit: (args, onSettled) => {
        this.#resources.checkOpen();
        throwIfAborted(signal);
        const plan = this.#plan({ fn, args, isMapped: true }, signal);
        const job = termsOf(plan, this.#controls.gate);
        return this.#resources.submit(job, deadline, onSettled);
      },
      reclaim: () => {
        this.#resources.reclaim();
      },
    };
  }
}

function termsOf(plan: Plan, gate: SleepGate): Terms {
  const { signal, record } = plan;
  const choose = (): Plan => plan;
  return { consume: 1, gate, signal, hearsRaised: false, record, choose };
}

interface SentJobserver {
  /** Index among the slot pipes that the job inherits. */
  readonly slotPipe: number;
  readonly controls: ReturnType<typeof sendControls>;
}

/** In a job: the handle that `[sendable]` has turned into data. */
export function reviveJobserver(
  data: unknown,
  slotPipes: readonly {
    readonly reader: number;
    readonly writer: number;
    readonly count: number | undefined;
  }[],
  imports: readonly unknown[],
): Jobserver {
  const sent = data as SentJobserver;
  const revive = (inner: unknown): object =>
    reviveJobserver(inner, slotPipes, imports);
  const controls = receiveControls(sent.controls, imports, revive);
  const { reader, writer, count } = slotPipes[sent.slotPipe]!;
  const slots = shareSlots(reader, writer, count);
  return new Jobserver(new Resources(slots), controls);
}

function slotsFor(slots: unknown): SlotPipe {
  if (slots !== undefined) return SlotPipe.open(checkSlots(slots));
  const { ambient } = workerState;
  if (ambient !== undefined) {
    return shareSlots(ambient.reader, ambient.writer, ambient.slots);
  }
  const make = joinMake(process.env['MAKEFLAGS']);
  if (make === undefined) return SlotPipe.open(defaultSlots());
  if (make === 1) return SlotPipe.open(make);
  return new SlotPipe(make.reader, make.writer, undefined, make.ownSlot);
}

/** Both fds are borrowed. */
function shareSlots(
  reader: number,
  writer: number,
  count: number | undefined,
): SlotPipe {
  const ownReader = duplicate(reader);
  try {
    return new SlotPipe(ownReader, duplicate(writer), count);
  } catch (error) {
    ownReader.close();
    throw error;
  }
}
