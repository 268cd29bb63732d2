// What one process does in a pool: the calls that wait, the jobs that run, and the
// processes that run several.
import { setImmediate } from 'node:timers';
import type { Ending } from '../errors.js';
import type { Frame } from '../protocol/frame.js';
import { type Busy, workerState } from '../protocol/worker-state.js';
import type { SlotPipe, Token } from '../slots/slot-pipe.js';
import { onAbort } from '../system/abort.js';
import { selector } from '../system/selector.js';
import { trace } from '../system/trace.js';
import { CallbackErrors } from './callback-errors.js';
import { Crew } from './crew.js';
import { type Future, futureControl } from './future.js';
import { LoopHold } from './loop-hold.js';
import { isReusable, startJob } from './reused-job.js';
import type { Plan } from './running-job.js';
import { SlotLine } from './slot-line.js';
import { type SlotRequest, Submission, admitAlways } from './submission.js';

/** Whether a call was started, and otherwise why not. */
export type Admission =
  { readonly future: Future<unknown> } | { readonly error: unknown };

/**
 * A `SlotRequest` with its job; an executor picks the job when the slot comes.
 */
export interface JobRequest extends Omit<
  SlotRequest,
  'functions' | 'onSlot' | 'onError'
> {
  readonly plan: Plan;
  /** The call may fail with what a callback of another future threw. */
  readonly receivesCallbackErrors: boolean;
}

export class Activity {
  readonly errors = new CallbackErrors();
  readonly hold = new LoopHold();
  readonly #line: SlotLine;
  readonly #pool: Busy;
  readonly #pending = new Set<Submission>();
  readonly #crew = new Crew(() => {
    this.#update();
    this.#notifyDrained();
  });
  #running = 0;
  #isClosed = false;
  /** Submissions that start in the next turn of the event loop. */
  #held = 0;
  #onDrained: (() => void)[] = [];

  constructor(slots: SlotPipe, pool: Busy) {
    this.#pool = pool;
    this.#line = new SlotLine(slots, () => this.#running > 0);
  }

  get running(): number {
    return this.#running;
  }

  admit({ onSlot, onError, ...conditions }: SlotRequest): Submission {
    const submission = new Submission(this.#line, {
      ...conditions,
      onSlot: (token) => {
        this.#forget(submission);
        try {
          onSlot(token);
        } finally {
          this.#update();
        }
      },
      onError: (error) => {
        this.#forget(submission);
        this.#update();
        onError(error);
      },
    });
    this.#pending.add(submission);
    this.#update();
    return submission;
  }

  /**
   * Starts it after those before it. One whose function may not be exported
   * waits for a turn of the event loop, or until a call blocks the thread. Calls
   * `onWaiting` if it then has to wait for a slot.
   */
  begin(submission: Submission, onWaiting?: () => void): void {
    const start = (): void => {
      submission.start();
      if (!submission.isSettled) onWaiting?.();
    };
    if (this.#held === 0) {
      if (!submission.mayBeRefused) {
        start();
        return;
      }
      setImmediate(() => {
        selector.flush();
      });
    }
    this.#held += 1;
    selector.later(() => {
      this.#held -= 1;
      start();
    });
  }

  submit(
    { plan, receivesCallbackErrors, ...conditions }: JobRequest,
    onAdmission: (admission: Admission) => void,
  ): Submission {
    const onError = (error: unknown): void => {
      this.#crew.forget(plan);
      plan.record.done('unstarted');
      onAdmission({ error });
    };
    const onSlot = (token: Token): void => {
      let future;
      try {
        future = this.start(plan, token);
      } catch (error) {
        onError(error);
        return;
      }
      onAdmission({ future });
    };
    const recall = plan.reuse && ((): boolean => this.#crew.recall(plan));
    const own = { recall, functions: () => plan.functions, onSlot, onError };
    const submission = this.admit({ ...conditions, ...own });
    if (receivesCallbackErrors) this.errors.recipients.add(submission);
    plan.record.submitted();
    return submission;
  }

  /** Lets a process have the call before there is a slot. */
  sendAhead({ plan, gate, consume }: JobRequest, submission: Submission): void {
    // The gate is asked when there is a slot.
    if (gate !== admitAlways || consume === 0 || !isReusable(plan)) return;
    this.#crew.await(plan, (token) => {
      submission.grant(token);
    });
  }

  start(plan: Plan, token: Token): Future<unknown> {
    this.#crew.forget(plan);
    const future = futureControl.create(this.errors);
    const events = {
      onSlotFree: () => {
        this.#countDown();
      },
      onGone: (frame: Frame | undefined, ending: Ending) => {
        offAbort();
        this.#finish(future, plan, frame, ending);
      },
    };
    const job = startJob(plan, token, events, this.#crew);
    const abort = (): void => {
      futureControl.abort(future, plan.signal?.reason);
      job.terminate();
    };
    const offAbort = onAbort(plan.signal, abort);
    futureControl.start(future, job);
    this.#running += 1;
    // The process has begun it while the abort tried to take it back.
    if (plan.signal?.aborted === true) abort();
    this.#update();
    plan.record.started(future);
    return future;
  }

  /** Fails the calls that wait, and ends processes that have no job. */
  close(error: () => Error): void {
    this.#isClosed = true;
    for (const submission of this.#pending) submission.fail(error());
    this.#crew.close();
    this.#update();
  }

  drain(): Promise<void> {
    if (this.#isDrained) return Promise.resolve();
    return new Promise((resolve) => this.#onDrained.push(resolve));
  }

  #finish(
    future: Future<unknown>,
    plan: Plan,
    frame: Frame | undefined,
    ending: Ending,
  ): void {
    const { pid, exitCode, signal, refusal } = ending;
    if (trace.enabled) {
      const result = frame?.kind ?? 'no result';
      const how = `exit code ${exitCode}, signal ${signal}`;
      trace('job %d finished: %s, %s', pid, result, how);
    }
    futureControl.settle(future, frame, ending);
    const lost = refusal === undefined ? 'lost' : 'unstarted';
    plan.record.done(frame?.kind ?? lost, ending);
  }

  #countDown(): void {
    this.#running -= 1;
    this.#update();
    if (this.#running > 0) return;
    // Two steps later, because the callbacks of the future run in between and
    // may submit again.
    selector.later(() => {
      selector.later(() => {
        this.#notifyDrained();
      });
    });
  }

  get #isDrained(): boolean {
    return this.#running === 0 && this.#ending === 0;
  }

  /** Processes that have to end before the pool is closed. */
  get #ending(): number {
    return this.#isClosed ? this.#crew.size : 0;
  }

  #notifyDrained(): void {
    if (!this.#isDrained) return;
    const callbacks = this.#onDrained;
    this.#onDrained = [];
    for (const callback of callbacks) callback();
  }

  #forget(submission: Submission): void {
    this.#pending.delete(submission);
    this.errors.recipients.delete(submission);
  }

  #update(): void {
    const work = this.#running + this.#pending.size;
    if (work > 0) workerState.busy.add(this.#pool);
    else workerState.busy.delete(this.#pool);
    this.hold.setWork(work + this.#ending);
  }
}
