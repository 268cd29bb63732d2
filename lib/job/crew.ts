// The processes of a pool that run several jobs. A job gets one that has nothing
// to do and was started as the job needs, or else a new one.
import { clearTimeout, setTimeout } from 'node:timers';
import { type ProcessJob, ReusedProcess } from '../launch/reused-process.js';
import { keyOf } from '../launch/zygote-client.js';
import type { Order } from '../protocol/order.js';
import { longestTimerMs, now } from '../system/deadline.js';
import { trace } from '../system/trace.js';
import type { Reuse } from './running-job.js';
import {
  addReserve,
  addStarted,
  removeEnded,
  removeReserve,
} from './shortage.js';

/** Processes that are alike and have no job, the last used one at the end. */
class Idle {
  /** Oldest first. */
  readonly #entries: { process: ReusedProcess; since: number }[] = [];
  readonly #timeoutMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  take(): ReusedProcess | undefined {
    return this.#entries.pop()?.process;
  }

  add(process: ReusedProcess): void {
    this.#entries.push({ process, since: now() });
    this.#arm();
  }

  delete(process: ReusedProcess): void {
    const index = this.#entries.findIndex((entry) => entry.process === process);
    if (index >= 0) this.#entries.splice(index, 1);
  }

  retireAll(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { process } of this.#entries.splice(0)) process.retire();
  }

  // One timer for all, which a job does not touch.
  #arm(): void {
    if (this.#timer !== undefined || this.#timeoutMs > longestTimerMs) return;
    const [oldest] = this.#entries;
    if (oldest === undefined) return;
    const left = oldest.since + this.#timeoutMs - now();
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#retireOld();
        this.#arm();
      },
      Math.max(0, left),
    ).unref();
  }

  #retireOld(): void {
    for (let first; (first = this.#entries[0]);) {
      if (first.since + this.#timeoutMs > now()) return;
      this.#entries.shift();
      first.process.retire();
    }
  }
}

export class Crew {
  readonly #all = new Set<ReusedProcess>();
  readonly #idle = new Map<string, Idle>();
  /** What the last job needed, because the next one mostly needs the same. */
  #latest:
    | (Pick<Order, 'env' | 'execArgv'> & {
        readonly reuse: Reuse;
        readonly idle: Idle;
      })
    | undefined;
  readonly #onChange: () => void;
  readonly #reserve = (): void => this.#retireIdle();
  #isClosed = false;

  /** `onChange` is called when the number of processes has changed. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** How many processes have not ended. */
  get size(): number {
    return this.#all.size;
  }

  /** Undefined where no process can take the job. */
  run(job: ProcessJob, reuse: Reuse): ReusedProcess | undefined {
    const idle = this.#idleFor(job.order, reuse);
    for (let process; (process = idle.take());) {
      if (process.run(job)) return process;
    }
    const process = this.#start(job.order, reuse, idle);
    return process?.run(job) === true ? process : undefined;
  }

  /** Ends each process as soon as it has no job. */
  close(): void {
    this.#isClosed = true;
    this.#retireIdle();
  }

  #start(
    order: Order,
    { jobsPerProcess }: Reuse,
    idle: Idle,
  ): ReusedProcess | undefined {
    let process: ReusedProcess;
    try {
      process = new ReusedProcess(order, jobsPerProcess, {
        onFree: () => {
          if (this.#isClosed) process.retire();
          else idle.add(process);
        },
        onGone: () => {
          idle.delete(process);
          this.#forget(process);
        },
      });
    } catch (error) {
      // A process for this one job will fail in the same way, or wait.
      trace('no process for several jobs could be started: %s', error);
      return undefined;
    }
    if (this.#all.size === 0) addReserve(this.#reserve);
    this.#all.add(process);
    addStarted();
    this.#onChange();
    return process;
  }

  #forget(process: ReusedProcess): void {
    this.#all.delete(process);
    if (this.#all.size === 0) removeReserve(this.#reserve);
    this.#onChange();
    removeEnded();
  }

  #idleFor(order: Order, reuse: Reuse): Idle {
    const { env, execArgv } = order;
    const latest = this.#latest;
    const isSame =
      latest?.reuse === reuse &&
      latest.env === env &&
      latest.execArgv === execArgv;
    if (isSame) return latest.idle;
    const idle = this.#idleOf(order, reuse);
    this.#latest = { env, execArgv, reuse, idle };
    return idle;
  }

  #idleOf(order: Order, { jobsPerProcess, idleTimeout }: Reuse): Idle {
    const { context, orphanSignal } = order;
    const own = [context, orphanSignal, jobsPerProcess, idleTimeout];
    const key = `${own.join()} ${keyOf(order)}`;
    let idle = this.#idle.get(key);
    if (idle === undefined) this.#idle.set(key, (idle = new Idle(idleTimeout)));
    return idle;
  }

  #retireIdle(): void {
    for (const idle of this.#idle.values()) idle.retireAll();
  }
}
