// One submitted call until its job starts. It waits for a slot; meanwhile it may
// be sent ahead to a process that is busy in one, and then begins in that slot.
// A call that is only offered to such processes has no submission, and so no place
// in the line for slots.
import { setImmediate } from 'node:timers';
import { outOfRange } from '../errors.js';
import type { FunctionRef } from '../functions/function-ref.js';
import type { AheadJob } from '../launch/ahead-queue.js';
import type { ProcessJob } from '../launch/process-job.js';
import type { ReusedProcess } from '../launch/reused-process.js';
import type { Order } from '../protocol/order.js';
import type { Token } from '../slots/token.js';
import type { Deadline } from '../system/deadline.js';
import { Link } from '../system/list.js';
import { selector } from '../system/selector.js';
import type { Future } from './future.js';
import type { Plan } from './plan.js';
import type { Squad } from './squad.js';
import type {
  Borrowing,
  SleepGate,
  SlotRequest,
  Submission,
} from './submission.js';

/** Whether a call was started, and otherwise why not. */
export type Admission =
  { readonly future: Future<unknown> } | { readonly error: unknown };

/** What was asked for. */
export interface JobRequest extends Pick<
  SlotRequest,
  'consume' | 'borrowing' | 'gate' | 'deadline' | 'signal'
> {
  readonly plan: Plan;
  /** The call may fail with what a callback of another future threw. */
  readonly receivesCallbackErrors: boolean;
}

/** The option, as a user gives it. */
export type Consume = 0 | 1 | 'own' | undefined;

export function checkConsume(consume: unknown): Consume {
  if (consume === undefined || consume === 'own') return consume;
  if (consume === 0 || consume === 1) return consume;
  throw outOfRange('consume', "0, 1 or 'own'", consume);
}

/** Who asks for a slot explicitly wants another one. */
export function borrowingOf(consume: Consume): Borrowing {
  if (consume === 'own') return 'first';
  return consume === undefined ? 'late' : 'never';
}

/** What the pool does when the call waits, begins or fails. */
export interface CallOwner {
  /** The call has to wait for a slot. */
  onWait(call: WaitingCall): void;
  /** Takes over the token. */
  onSlot(call: WaitingCall, token: Token): void;
  /** The process begins it. See `AheadJob.onTurn`. */
  onTurn(
    call: WaitingCall,
    process: ReusedProcess,
    begin: (job: ProcessJob) => void,
  ): ProcessJob;
  onError(call: WaitingCall, error: unknown): void;
}

export class WaitingCall implements SlotRequest, AheadJob {
  readonly #request: JobRequest;
  readonly #owner: CallOwner;
  readonly onAdmission: (admission: Admission) => void;
  /** The place of the call in the list of its squad. */
  readonly place: Link<WaitingCall> = new Link<WaitingCall>(this);
  submission: Submission | undefined;
  /** Where it waits to be sent ahead. */
  squad: Squad | undefined;
  /** The process that it was sent to. */
  process: ReusedProcess | undefined;
  number = 0;
  end = 0;
  #hasBegun = false;

  constructor(
    request: JobRequest,
    owner: CallOwner,
    onAdmission: (admission: Admission) => void,
  ) {
    this.#request = request;
    this.#owner = owner;
    this.onAdmission = onAdmission;
  }

  get plan(): Plan {
    return this.#request.plan;
  }

  get order(): Order {
    return this.#request.plan.order;
  }

  get consume(): 0 | 1 {
    return this.#request.consume;
  }

  get borrowing(): Borrowing {
    return this.#request.borrowing;
  }

  get gate(): SleepGate {
    return this.#request.gate;
  }

  get deadline(): Deadline {
    return this.#request.deadline;
  }

  get signal(): AbortSignal | undefined {
    return this.#request.signal;
  }

  get receivesCallbackErrors(): boolean {
    return this.#request.receivesCallbackErrors;
  }

  functions(): readonly FunctionRef[] {
    return this.#request.plan.functions;
  }

  recall(): boolean {
    if (this.#hasBegun) return false;
    if (this.process?.recallAhead(this) === false) {
      // It may have read answers, and no later event need follow soon.
      setImmediate(() => {
        selector.flush();
      });
      return false;
    }
    if (this.process !== undefined) this.onReturn();
    return true;
  }

  /**
   * Withdraws what was only offered: nothing begins it from now on. False when
   * its process has begun it; then its future has come or will come.
   */
  withdraw(): boolean {
    if (!this.recall()) return false;
    this.squad?.forget(this);
    return true;
  }

  onWait(): void {
    this.#owner.onWait(this);
  }

  onSlot(token: Token): void {
    this.squad?.forget(this);
    this.#owner.onSlot(this, token);
  }

  onError(error: unknown): void {
    this.squad?.forget(this);
    this.#owner.onError(this, error);
  }

  onTurn(begin: (job: ProcessJob) => void): ProcessJob {
    const process = this.process!;
    this.process = undefined;
    this.#hasBegun = true;
    this.submission?.end();
    return this.#owner.onTurn(this, process, begin);
  }

  onReturn(): void {
    this.process = undefined;
    this.squad!.takeBack(this);
  }
}
