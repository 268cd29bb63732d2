// What all handles of one Jobserver share in this process. A call passes
// through it once: it waits in the line for a slot, starts as a running job
// with the token, and comes back as a Future.
import { codedError } from '../errors.js';
import { checkExportedNow } from '../functions/function-ref.js';
import { type Busy, workerState } from '../protocol/worker-state.js';
import type { SlotPipe } from '../slots/slot-pipe.js';
import type { Token } from '../slots/token.js';
import { selector } from '../system/selector.js';
import { never } from '../system/deadline.js';
import { type ProcessUsage, noUsage } from '../usage.js';
import { Activity } from './activity.js';
import type { Future } from './future.js';
import type { Plan } from './plan.js';
import {
  type SlotRequest,
  type Submission,
  admitAlways,
} from './submission.js';
import type { Admission, JobRequest } from './waiting-call.js';

/** A job that a busy process may begin. */
export interface Offer {
  /**
   * Nothing begins it from now on. False when a process has begun it: then its
   * future has come, or will.
   */
  withdraw(): boolean;
}

export class Pool implements Busy {
  readonly slots: SlotPipe;
  #isClosed = false;
  #generation = workerState.generation;
  #activity: Activity;

  constructor(slots: SlotPipe) {
    this.slots = slots;
    this.#activity = new Activity(slots, this);
  }

  // A fork starts empty: jobs and waiting calls are the parent's.
  get #own(): Activity {
    if (this.#generation !== workerState.generation) {
      this.#generation = workerState.generation;
      this.#activity = new Activity(this.slots, this);
    }
    return this.#activity;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Jobs that were started here and whose slots are not free again. */
  get running(): number {
    return this.#own.running;
  }

  /** Of all processes of jobs that were started here and have ended. */
  get usage(): ProcessUsage {
    return this.#own.usage ?? noUsage;
  }

  /** Waits for a slot. The request takes over the token. */
  request(request: SlotRequest): Submission {
    const submission = this.#own.admit(request);
    this.#own.begin(submission);
    return submission;
  }

  /** Starts a job. Takes over the token, also where it throws. */
  start(plan: Plan, token: Token): Future<unknown> {
    return this.#own.start(plan, token);
  }

  /** Starts a job once there is a slot. */
  submit(
    request: JobRequest,
    onAdmission: (admission: Admission) => void,
  ): Submission {
    const own = this.#own;
    const submission = own.submit(request, onAdmission);
    own.begin(submission);
    // The caller may change its buffers while the job waits.
    request.plan.order.enclosures?.copy();
    return submission;
  }

  /**
   * Offers a job to processes that are busy, without a place in the line for
   * slots. Undefined when it may run only in a process of its own.
   */
  offer(
    plan: Plan,
    onBegin: (future: Future<unknown>) => void,
  ): Offer | undefined {
    // The owner of the offer decides when it ends.
    const request = {
      consume: 1,
      borrowing: 'never',
      gate: admitAlways,
      deadline: never,
      plan,
      signal: undefined,
      receivesCallbackErrors: false,
    } as const;
    return this.#own.offer(request, (admission) => {
      if ('future' in admission) onBegin(admission.future);
    });
  }

  submitSync(request: JobRequest): Future<unknown> {
    for (const fn of request.plan.functions) checkExportedNow(fn);
    let admission: Admission | undefined;
    const onAdmission = (result: Admission): void => {
      admission = result;
    };
    const submission = this.#own.submit(request, onAdmission);
    // Those that wait for the event loop start first.
    selector.flush();
    submission.startSync();
    if ('future' in admission!) return admission.future;
    throw admission!.error;
  }

  /** Handles what is ready in this thread, without waiting. */
  reclaim(): void {
    void this.#own;
    selector.turn(0);
  }

  /** Changes the number of slots. Throws in a pool that was joined. */
  resize(count: number): void {
    this.checkOpen();
    this.#own.resize(count);
  }

  get isOpen(): boolean {
    return !this.#isClosed;
  }

  checkOpen(): void {
    if (this.#isClosed) throw closedError();
  }

  /** Rejects new calls, and the calls that wait for a slot. */
  refuse(): void {
    if (this.#isClosed) return;
    // Those that wait for the event loop only are not refused.
    selector.flush();
    // A callback may have closed it.
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#own.close(closedError);
    this.slots.close();
  }

  /** Asks the running jobs to end. */
  terminate(signal: number): void {
    this.#own.terminate(signal);
  }

  /** Resolves when this process has no job in the pool. */
  drain(): Promise<void> {
    return this.#own.drain();
  }

  /** Throws what a callback threw and no caller has received. */
  throwCallbackError(): void {
    this.#own.errors.throwFirst();
  }

  /** Runs all callbacks; throws the first error, emits the rest as warnings. */
  reportCallbackErrors(): void {
    this.#own.errors.report();
  }

  /** Stops `change` more jobs or submissions from holding the event loop. */
  unhold(change: number): void {
    this.#own.hold.exclude(change);
  }
}

function closedError(): Error {
  return codedError('ERR_JOBSERVER_CLOSED', 'Jobserver is closed');
}
