// The processes of a crew that are alike, so that a job may run in any of them.
// Those without a job end after a while. To those with one, calls that wait for a
// slot are sent ahead, so that no process waits for its next job; another slot
// that becomes free takes them back.
import { clearTimeout, setTimeout } from 'node:timers';
import type { ReusedProcess } from '../launch/reused-process.js';
import { longestTimerMs, now } from '../system/deadline.js';
import { List } from '../system/list.js';
import type { WaitingCall } from './waiting-call.js';

// Several jobs that are shorter than this are sent ahead, and one that is longer.
const shortMs = 20;
// How long those together are to take: less than a turn.
const aheadMs = 4;
const mostAhead = 32;
// The run time of a job before any was measured, and the least one.
const firstGuessMs = 5;
const leastMs = 0.001;

export class Squad {
  /** Without a job; the one that was used last is at the end. */
  readonly #idle: { process: ReusedProcess; since: number }[] = [];
  readonly #all = new Set<ReusedProcess>();
  readonly #waiting = new List<WaitingCall>();
  readonly #timeoutMs: number;
  #timer: NodeJS.Timeout | undefined;
  #isScheduled = false;
  /** What half of the jobs take at most, as far as the last ones show. */
  #medianMs = firstGuessMs;

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

  /** It may be sent ahead. */
  await(call: WaitingCall): void {
    this.#waiting.add(call.place);
    this.#schedule();
  }

  takeBack(call: WaitingCall): void {
    this.#waiting.addFirst(call.place);
    this.#schedule();
  }

  /** It waits no longer. */
  forget(call: WaitingCall): void {
    this.#waiting.delete(call.place);
  }

  /** A job has taken `ms` milliseconds. */
  measure(ms: number): void {
    // A mean would be that of the few jobs that the system has interrupted.
    const median = this.#medianMs;
    this.#medianMs =
      ms > median ? median * 1.1 : Math.max(leastMs, median / 1.1);
    this.#schedule();
  }

  // Once for all calls and answers of this turn of the event loop: after the
  // microtasks, in which the user submits the next calls.
  #schedule(): void {
    if (this.#isScheduled || this.#waiting.size === 0) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      process.nextTick(() => {
        this.#isScheduled = false;
        this.#fillAll();
      });
    });
  }

  #fillAll(): void {
    let others = this.#all.size - this.#idle.length;
    for (const process of this.#all) {
      if (this.#waiting.size === 0) return;
      const share = Math.ceil(this.#waiting.size / Math.max(1, others));
      if (process.takesAhead && process.checkInheritance()) {
        this.fill(process, share);
      }
      others -= 1;
    }
  }

  /**
   * Sends a process, whose inheritance was checked, what it was given, and up to
   * `share` calls ahead.
   */
  fill(
    process: ReusedProcess,
    share = Math.ceil(this.#waiting.size / this.#all.size),
  ): void {
    const many = Math.max(2, Math.min(mostAhead, aheadMs / this.#medianMs));
    const window = this.#medianMs < shortMs ? Math.floor(many) : 1;
    const room = share > 0 ? Math.min(share, process.roomFor(window)) : 0;
    for (let i = 0; i < room; i++) {
      const call = this.#waiting.first!;
      // The call is too large, or the process has no room for more. The calls
      // behind it stay in their order.
      if (!process.addAhead(call)) break;
      this.#waiting.delete(call.place);
      call.process = process;
    }
    process.flush();
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
