// What is to be called once some time has passed, by the event loop or by a call
// that blocks the thread. To add one, and to cancel it, costs the same however many
// there are.
import { clearTimeout, setTimeout } from 'node:timers';
import {
  type Deadline,
  type Timer,
  longestTimerMs,
  never,
  now,
  remaining,
} from './deadline.js';
import { Link, List } from './list.js';

interface Alarm {
  readonly dueAt: Deadline;
  readonly callback: () => void;
}

export class Alarms {
  /** By their milliseconds; so the first of each list is due first. */
  readonly #lists = new Map<number, List<Alarm>>();
  readonly #wake: () => void;
  #timer: NodeJS.Timeout | undefined;
  #wakesAt: Deadline = never;

  /** The event loop calls `wake`, which calls `run`, when one may be due. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** Does not keep the event loop alive. Infinity: never calls back. */
  add(ms: number, callback: () => void): Timer {
    const dueAt = now() + ms;
    const link = new Link<Alarm>({ dueAt, callback });
    let list = this.#lists.get(ms);
    if (list === undefined) {
      list = new List();
      this.#lists.set(ms, list);
    }
    list.add(link);
    if (dueAt < this.#wakesAt) this.#arm(dueAt);
    return { cancel: () => list.delete(link) };
  }

  /** When the next one is due. */
  get dueAt(): Deadline {
    if (this.#lists.size === 0) return never;
    return this.#nextList()?.first?.dueAt ?? never;
  }

  /** Calls the callback of each alarm that is due, the earliest first. */
  run(): void {
    if (this.#lists.size === 0) return;
    const time = now();
    for (let list; (list = this.#nextList()) !== undefined;) {
      if (list.first!.dueAt > time) return;
      list.shift()!.callback();
    }
  }

  /** The list of the one that is due first. Forgets lists that are empty. */
  #nextList(): List<Alarm> | undefined {
    let next: List<Alarm> | undefined;
    for (const [ms, list] of this.#lists) {
      if (list.first === undefined) this.#lists.delete(ms);
      else if (!(list.first.dueAt >= (next?.first?.dueAt ?? never)))
        next = list;
    }
    return next;
  }

  /** In a fork: forgets those of the parent. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#lists.clear();
    this.#wakesAt = never;
  }

  #arm(dueAt: Deadline): void {
    clearTimeout(this.#timer);
    this.#wakesAt = dueAt;
    if (dueAt === never) return;
    const left = Math.min(Math.ceil(remaining(dueAt)), longestTimerMs);
    this.#timer = setTimeout(() => {
      this.#wakesAt = never;
      try {
        this.#wake();
      } finally {
        // `wake` may have added others.
        this.#arm(this.dueAt);
      }
    }, left).unref();
  }
}
