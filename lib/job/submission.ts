// One call that waits to be started: it asks the sleep gate, then the line for
// a slot. It ends once: with a token, or with the error of a deadline, an
// AbortSignal or a closed Jobserver. It holds no slot while it waits. The event
// loop drives it, or a blocking caller does.
import { AbortError, Blocked, invalidArgument, outOfRange } from '../errors.js';
import {
  type FunctionRef,
  checkExported,
  mayBeRefused,
} from '../functions/function-ref.js';
import { Token } from '../slots/token.js';
import { onAbort } from '../system/abort.js';
import {
  type Deadline,
  type Timer,
  never,
  now,
  onDeadline,
  pollTimeout,
  remaining,
} from '../system/deadline.js';
import { Link } from '../system/list.js';
import { selector } from '../system/selector.js';
import type { SlotLine, SlotWaiter } from './slot-line.js';

/**
 * Decides whether a job may start: `undefined` admits it, a number is how many
 * milliseconds to wait before the gate is asked again. See
 * {@link Jobserver.replaceSleep}.
 */
export type SleepGate = () => number | undefined;

/**
 * When the slot of the job that makes the request will do: never, after it has waited
 * for another one, or at once.
 */
export type Borrowing = 'never' | 'late' | 'first';

/** The conditions of a start, and who is notified. */
export interface SlotRequest {
  /** 0: the job takes no slot. */
  readonly consume: 0 | 1;
  readonly borrowing: Borrowing;
  readonly gate: SleepGate;
  readonly deadline: Deadline;
  /** What the job that is next will import. */
  functions(): readonly FunctionRef[];
  /** Ends the wait when it is aborted. */
  readonly signal: AbortSignal | undefined;
  /**
   * Takes the call back from a process that it was sent to before it had a
   * slot. False when the process has begun it: then it has been granted a slot.
   */
  recall?(): boolean;
  /** The event loop drives the wait, and there is no slot at once. */
  onWait?(): void;
  /** Takes over the token. */
  onSlot(token: Token): void;
  onError(error: unknown): void;
}

/** The gate of a handle without one. */
export const admitAlways: SleepGate = () => undefined;

// The shortest time until the gate is asked again, even if it answers 0.
const shortestSleepMs = 10;

// How long a job waits for another slot before it lends its own. A timer, so
// that a job which still computes does not lend.
const patienceMs = 10;

// After this time, a job that has no slot to lend, or may not, gets a warning.
const standstillMs = 10_000;

export class Submission implements SlotWaiter {
  readonly place: Link<SlotWaiter> = new Link<SlotWaiter>(this);
  /** Its place among all that wait. */
  readonly pending: Link<Submission> = new Link<Submission>(this);
  readonly #line: SlotLine;
  readonly #request: SlotRequest;
  /** When to ask the gate again; `never` while this does not sleep. */
  #wakeAt: Deadline = never;
  /** In a job, when to lend its slot or else to warn. */
  #patienceEnds: Deadline = never;
  #mayBorrow: boolean;
  #timer: Timer | undefined;
  #offAbort: (() => void) | undefined;
  #isSettled = false;
  #isAsking = false;

  /** Whether one of the callbacks of the request has been called. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** True once it has waited long enough for another slot. */
  get mayBorrow(): boolean {
    return this.#mayBorrow;
  }

  get borrowsFirst(): boolean {
    return this.#request.borrowing === 'first';
  }

  /** Whether the next turn of the event loop may show a reason to fail. */
  get mayBeRefused(): boolean {
    return this.#request.functions().some(mayBeRefused);
  }

  constructor(line: SlotLine, request: SlotRequest) {
    this.#line = line;
    this.#request = request;
    this.#mayBorrow = this.borrowsFirst;
  }

  /** Makes the first attempt; the event loop makes the others. */
  start(): void {
    if (this.#isSettled) return;
    this.#listenToAbort();
    this.attempt();
    if (this.#isSettled) return;
    this.#startPatience();
    this.#arm();
    this.#request.onWait?.();
  }

  /** Blocks the thread until the submission is settled. */
  startSync(): void {
    this.#listenToAbort();
    this.attempt();
    this.#startPatience();
    for (;;) {
      this.borrow();
      if (this.#isSettled) return;
      selector.turn(pollTimeout(this.dueAt));
      this.onTime();
    }
  }

  /**
   * Called when the patience is over, and before each wait that blocks the
   * thread: in a job, takes the slot of the job if it is free.
   */
  borrow(): void {
    const { jobSlot } = this.#line;
    if (this.#isSettled || jobSlot === undefined) return;
    if (this.#request.borrowing === 'never') return;
    this.#patienceEnds = never;
    this.#mayBorrow = true;
    if (this.#wakeAt !== never) return;
    if (jobSlot.isLent) this.#line.add(this);
    else this.attempt();
  }

  /** Asks the gate, then for a slot. The line calls it while a slot is free. */
  attempt(): void {
    // The gate may itself have jobs handled and calls served.
    if (this.#isAsking || this.#isSettled) return;
    let token: Token | undefined;
    try {
      const sleepMs = this.#askGate();
      // The gate is code of the user: it may have aborted the signal or closed
      // the Jobserver.
      if (this.#isSettled) return;
      if (sleepMs !== undefined) {
        this.#sleep(sleepMs);
        return;
      }
      for (const fn of this.#request.functions()) checkExported(fn);
      token =
        this.#request.consume === 0 ? Token.none() : this.#line.tryTake(this);
      if (token === undefined && !this.#isSettled) {
        if (this.#isLate) throw blocked('No slot');
        this.#line.add(this);
      }
    } catch (error) {
      this.fail(error);
      return;
    }
    // While it looked for a slot, the line may have run callbacks of the user.
    if (token === undefined) return;
    if (this.#isWaiting() && this.#settle()) this.#request.onSlot(token);
    else token.give();
  }

  fail(error: unknown): void {
    if (!this.#isWaiting()) return;
    if (this.#settle()) this.#request.onError(error);
  }

  /** Ends the wait: what was requested has been found elsewhere. */
  end(): void {
    this.#settle();
  }

  /** Nothing has begun it, and from now on nothing else will. */
  #isWaiting(): boolean {
    return !this.#isSettled && this.#request.recall?.() !== false;
  }

  /** When `onTime` has work to do. */
  get dueAt(): Deadline {
    const { deadline } = this.#request;
    return Math.min(deadline, this.#wakeAt, this.#patienceEnds);
  }

  /** Ends a wait or a sleep whose time is up. */
  onTime(): void {
    if (this.#isSettled) return;
    if (this.#isLate) {
      this.fail(blocked(this.#wakeAt === never ? 'No slot' : 'No admission'));
    } else if (remaining(this.#wakeAt) <= 0) {
      this.#wakeAt = never;
      this.attempt();
    } else if (remaining(this.#patienceEnds) <= 0) {
      this.#endPatience();
    }
  }

  #startPatience(): void {
    if (!this.#line.isInJob || this.#request.consume === 0) return;
    this.#patienceEnds = now() + (this.#canLend ? patienceMs : standstillMs);
  }

  #endPatience(): void {
    if (this.#canLend) {
      this.borrow();
    } else {
      this.#line.onLongWait();
      this.#patienceEnds = now() + standstillMs;
    }
  }

  get #canLend(): boolean {
    if (this.#request.borrowing === 'never') return false;
    return this.#line.jobSlot !== undefined;
  }

  get #isLate(): boolean {
    return remaining(this.#request.deadline) <= 0;
  }

  // Before the first attempt, because the gate may abort the signal.
  #listenToAbort(): void {
    const { signal } = this.#request;
    this.#offAbort = onAbort(signal, () => {
      this.fail(new AbortError(signal?.reason));
    });
    if (signal?.aborted === true) this.fail(new AbortError(signal.reason));
  }

  /** False when it was settled before. */
  #settle(): boolean {
    if (this.#isSettled) return false;
    this.#isSettled = true;
    this.#line.delete(this);
    this.#timer?.cancel();
    this.#offAbort?.();
    return true;
  }

  #callGate(): unknown {
    const { gate } = this.#request;
    this.#isAsking = true;
    try {
      return gate();
    } finally {
      this.#isAsking = false;
    }
  }

  #askGate(): number | undefined {
    const answer = this.#callGate();
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
    if (this.#isLate) throw blocked('No admission');
    this.#line.delete(this);
    this.#wakeAt = now() + Math.max(shortestSleepMs, sleepMs);
    if (this.#timer !== undefined) this.#arm();
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = onDeadline(this.dueAt, () => {
      // A slot that became free at this very moment comes first.
      selector.turn(0);
      this.onTime();
      if (!this.#isSettled) this.#arm();
    });
  }
}

function blocked(what: 'No slot' | 'No admission'): Blocked {
  return new Blocked(`${what} within the time given`);
}
