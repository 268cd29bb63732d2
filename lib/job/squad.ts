// The processes of a crew that are alike, so that a job may run in any of them.
// Those without a job end after a while. To those with one, calls that wait for a
// slot are sent ahead, so that no process waits for its next job; another slot
// that becomes free takes them back.
import { clearTimeout, setTimeout } from 'node:timers';
import type { AheadJob } from '../launch/ahead-queue.js';
import type { ReusedProcess } from '../launch/reused-process.js';
import type { Order } from '../protocol/order.js';
import type { Token } from '../slots/slot-pipe.js';
import { longestTimerMs, now } from '../system/deadline.js';
import { Queue } from '../system/queue.js';
import type { Plan } from './running-job.js';

// Jobs that run for less than this are sent ahead in numbers; of others, one is.
const shortMs = 20;
// So many of them that they take about this long.
const aheadMs = 1;
const mostAhead = 32;
// What a job takes until the first have been measured.
const firstGuessMs = 5;

/** A call that waits for a slot and may be sent ahead. */
export class WaitingCall implements AheadJob {
  readonly plan: Plan;
  readonly squad: Squad;
  readonly #grant: (token: Token) => void;
  /** The process that it was sent to. */
  process: ReusedProcess | undefined;
  /** It begins now: `process` is to adopt its job. */
  isOnTurn = false;

  constructor(plan: Plan, squad: Squad, grant: (token: Token) => void) {
    this.plan = plan;
    this.squad = squad;
    this.#grant = grant;
  }

  get order(): Order {
    return this.plan.order;
  }

  onTurn(token: Token): void {
    this.isOnTurn = true;
    this.#grant(token);
  }

  onReturn(): void {
    this.process = undefined;
    this.squad.takeBack(this);
  }

  /** False when its process has begun it. */
  recall(): boolean {
    if (this.isOnTurn) return true;
    if (this.process?.recallAhead(this) === false) return false;
    if (this.process !== undefined) this.onReturn();
    return true;
  }
}

export class Squad {
  /** Without a job; the one that was used last is at the end. */
  readonly #idle: { process: ReusedProcess; since: number }[] = [];
  readonly #all = new Set<ReusedProcess>();
  readonly #waiting = new Queue<WaitingCall>();
  readonly #timeoutMs: number;
  #timer: NodeJS.Timeout | undefined;
  #isFlushing = false;
  #meanMs = firstGuessMs;

  /** `timeoutMs`: how long a process lives on without a job. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  add(process: ReusedProcess): void {
    this.#all.add(process);
  }

  delete(process: ReusedProcess): void {
    this.#all.delete(process);
    const index = this.#idle.findIndex((entry) => entry.process === process);
    if (index >= 0) this.#idle.splice(index, 1);
  }

  takeIdle(): ReusedProcess | undefined {
    return this.#idle.pop()?.process;
  }

  addIdle(process: ReusedProcess): void {
    this.#idle.push({ process, since: now() });
    this.#arm();
  }

  retireIdle(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { process } of this.#idle.splice(0)) process.retire();
  }

  await(call: WaitingCall): void {
    this.#waiting.add(call);
    this.#schedule();
  }

  takeBack(call: WaitingCall): void {
    this.#waiting.addFirst(call);
    this.#schedule();
  }

  /** It waits no longer. */
  forget(call: WaitingCall): void {
    this.#waiting.delete(call);
  }

  /** A job has taken `ms` milliseconds. */
  measure(ms: number): void {
    this.#meanMs += (ms - this.#meanMs) / 10;
    this.#schedule();
  }

  // Once for all calls and answers of this turn of the event loop.
  #schedule(): void {
    if (this.#isFlushing || this.#waiting.size === 0) return;
    this.#isFlushing = true;
    process.nextTick(() => {
      this.#isFlushing = false;
      this.#sendAhead();
    });
  }

  #sendAhead(): void {
    const many = Math.max(2, Math.min(mostAhead, aheadMs / this.#meanMs));
    const window = this.#meanMs < shortMs ? Math.floor(many) : 1;
    let others = this.#all.size - this.#idle.length;
    for (const process of this.#all) {
      const share = Math.ceil(this.#waiting.size / Math.max(1, others));
      const room = Math.min(share, process.roomFor(window));
      others -= 1;
      if (room <= 0) continue;
      const calls = Array.from({ length: room }, () => this.#waiting.shift()!);
      for (const call of calls) call.process = process;
      process.sendAhead(calls);
    }
  }

  // One timer for all, which a job does not touch.
  #arm(): void {
    if (this.#timer !== undefined || this.#timeoutMs > longestTimerMs) return;
    const [oldest] = this.#idle;
    if (oldest === undefined) return;
    const left = oldest.since + this.#timeoutMs - now();
    const end = (): void => {
      this.#timer = undefined;
      this.#retireOld();
      this.#arm();
    };
    this.#timer = setTimeout(end, Math.max(0, left)).unref();
  }

  #retireOld(): void {
    for (let first; (first = this.#idle[0]);) {
      if (first.since + this.#timeoutMs > now()) return;
      this.#idle.shift();
      first.process.retire();
    }
  }
}
