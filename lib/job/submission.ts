// One call on its way to a worker: the sleep gate is asked, then a slot is
// taken, then the job starts; or the deadline, an AbortSignal or a closing
// Jobserver ends it first. It never holds a slot while it waits. Driven by the
// event loop, or by a blocking caller through `turn`.
import { onAbort } from '../system/abort.js';
import {
  type Deadline,
  type Timer,
  at,
  never,
  now,
  pollTimeout,
  remaining,
} from '../system/deadline.js';
import { AbortError, Blocked, invalidArgument, outOfRange } from '../errors.js';
import type { Future } from './future.js';
import type { JobRecord } from './record.js';
import type { Launcher, Order } from '../launch/launcher.js';
import { selector } from '../system/selector.js';
import type { Token } from '../slots/slot-pipe.js';

/** undefined admits the job; a number is how long to wait before asking again. */
export type SleepGate = () => number | undefined;

/** Everything a job needs, captured when it was submitted. */
export interface Plan {
  readonly order: Order;
  readonly launcher: Launcher;
  readonly signal: AbortSignal | undefined;
  readonly record: JobRecord;
}

/** What a submission waits for. */
export interface Terms {
  readonly consume: 0 | 1;
  readonly gate: SleepGate;
  /** Aborting ends the wait. */
  readonly signal: AbortSignal | undefined;
  /** Somebody waits for this call, who can be told what a callback threw. */
  readonly hearsRaised: boolean;
  /** Of the job, when it is known before there is a slot. */
  readonly record: JobRecord | undefined;
  /** The job to start, asked for once there is a slot; throws for none. */
  readonly choose: () => Plan;
}

/** What a submission waits at: the queue for the slots of its Jobserver. */
export interface SlotQueue {
  /** A slot, unless none is free or others have waited longer. */
  tryTake(submission: Submission): Token | undefined;
  wait(submission: Submission): void;
  leave(submission: Submission): void;
  launch(plan: Plan, token: Token | undefined): Future<unknown>;
}

export type Settled =
  { readonly future: Future<unknown> } | { readonly error: unknown };

// A gate that answers 0 for ever costs this much time between two questions.
const shortestSleepMs = 10;

export class Submission {
  readonly #queue: SlotQueue;
  readonly #terms: Terms;
  readonly #deadline: Deadline;
  readonly #onSettled: (settled: Settled) => void;
  /** When the gate wants to be asked again; `never` while it does not sleep. */
  #wakeAt: Deadline = never;
  #timer: Timer | undefined;
  #offAbort: (() => void) | undefined;
  #isSettled = false;

  constructor(
    queue: SlotQueue,
    terms: Terms,
    deadline: Deadline,
    onSettled: (settled: Settled) => void,
  ) {
    this.#queue = queue;
    this.#terms = terms;
    this.#deadline = deadline;
    this.#onSettled = onSettled;
  }

  get hearsRaised(): boolean {
    return this.#terms.hearsRaised;
  }

  /** The first attempt; then the event loop drives it if it has to wait. */
  start(): void {
    this.attempt();
    if (this.#isSettled) return;
    this.#arm();
    const { signal } = this.#terms;
    this.#offAbort = onAbort(signal, () => {
      this.fail(new AbortError(signal?.reason));
    });
  }

  /** Blocks until it is settled. */
  startSync(): void {
    this.attempt();
    while (!this.#isSettled) {
      selector.turn(pollTimeout(this.dueAt));
      this.onTime();
    }
  }

  /** Asks the gate, then for a slot; starts the job or goes on waiting. */
  attempt(): void {
    try {
      const sleepMs = this.#askGate();
      // The gate may have aborted or closed what it was asked for.
      if (this.#isSettled) return;
      if (sleepMs !== undefined) {
        this.#sleep(sleepMs);
        return;
      }
      const { consume, choose } = this.#terms;
      const token = consume === 1 ? this.#queue.tryTake(this) : undefined;
      // So may callbacks of jobs that were found finished.
      if (this.#isSettled) {
        token?.give();
        return;
      }
      if (consume === 1 && token === undefined) {
        if (remaining(this.#deadline) <= 0) throw this.#blocked('No slot');
        this.#queue.wait(this);
        return;
      }
      const plan = chooseFor(token, choose);
      this.#settle({ future: this.#queue.launch(plan, token) });
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error: unknown): void {
    this.#settle({ error });
  }

  #askGate(): number | undefined {
    const { gate } = this.#terms;
    const answer: unknown = gate();
    if (answer === undefined || answer === null) return undefined;
    const expected = 'undefined or a non-negative number of milliseconds';
    const name = 'the answer of the sleep gate';
    if (typeof answer !== 'number') {
      throw invalidArgument(name, expected, answer);
    }
    if (!(answer >= 0)) throw outOfRange(name, expected, answer);
    return answer;
  }

  #sleep(sleepMs: number): void {
    if (remaining(this.#deadline) <= 0) throw this.#blocked('No admission');
    this.#queue.leave(this);
    this.#wakeAt = now() + Math.max(shortestSleepMs, sleepMs);
    if (this.#timer !== undefined) this.#arm();
  }

  /** When `onTime` has something to do. */
  get dueAt(): Deadline {
    return Math.min(this.#deadline, this.#wakeAt);
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = at(this.dueAt, () => {
      // A slot that has come free this very moment.
      selector.turn(0);
      this.onTime();
      if (!this.#isSettled) this.#arm();
    });
  }

  /** Ends the wait or the sleep whose time is up. */
  onTime(): void {
    if (this.#isSettled) return;
    if (remaining(this.#deadline) <= 0) {
      const what = this.#wakeAt === never ? 'No slot' : 'No admission';
      this.fail(this.#blocked(what));
    } else if (remaining(this.#wakeAt) <= 0) {
      this.#wakeAt = never;
      this.attempt();
    }
  }

  #blocked(what: string): Blocked {
    return new Blocked(`${what} within the time given`);
  }

  #settle(settled: Settled): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#queue.leave(this);
    this.#timer?.cancel();
    this.#offAbort?.();
    this.#onSettled(settled);
  }
}

function chooseFor(token: Token | undefined, choose: () => Plan): Plan {
  try {
    return choose();
  } catch (error) {
    token?.give();
    throw error;
  }
}
