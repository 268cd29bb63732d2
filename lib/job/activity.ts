// What one process does in a pool: the calls that wait, the jobs that run, and the
// processes that run several.
import { setImmediate } from 'node:timers';
import type { ProcessJob } from '../launch/process-job.js';
import type { ReusedProcess } from '../launch/reused-process.js';
import { type Busy, workerState } from '../protocol/worker-state.js';
import type { SlotPipe } from '../slots/slot-pipe.js';
import type { Token } from '../slots/token.js';
import { List } from '../system/list.js';
import { selector } from '../system/selector.js';
import { trace } from '../system/trace.js';
import { type ProcessUsage, addUsage } from '../usage.js';
import { Advice } from './advice.js';
import { CallbackErrors } from './callback-errors.js';
import type { Crew } from './crew.js';
import type { Future } from './future.js';
import { LoopHold } from './loop-hold.js';
import { ReusedJob, isSentAhead, startJob } from './reused-job.js';
import { watchMemoryKills } from './memory-kills.js';
import type { Job, Plan } from './plan.js';
import { SlotLine } from './slot-line.js';
import { type JobOwner, StartedJob } from './started-job.js';
import { type SlotRequest, Submission, admitAlways } from './submission.js';
import {
  type Admission,
  type CallOwner,
  type JobRequest,
  WaitingCall,
} from './waiting-call.js';

export class Activity implements CallOwner, JobOwner {
  /** Submissions that can fail with the error of a callback, oldest first. */
  readonly #recipients = new List<Submission>();
  /** Submissions that cannot. */
  readonly #silent = new List<Submission>();
  readonly errors = new CallbackErrors(() => this.#recipients.first);
  readonly hold = new LoopHold();
  readonly #slots: SlotPipe;
  readonly #line: SlotLine;
  readonly #pool: Busy;
  readonly advice: Advice | undefined;
  /** Of all processes of jobs that have ended; undefined before the first one. */
  usage: ProcessUsage | undefined;
  #madeCrew: Crew | undefined;
  readonly #running = new List<StartedJob>();
  #isClosed = false;
  /** Submissions that start in the next turn of the event loop. */
  #held = 0;
  /** See `SlotPipe.settled`. */
  #settled: Promise<void> | undefined;
  #onDrained: (() => void)[] = [];

  constructor(slots: SlotPipe, pool: Busy) {
    this.#pool = pool;
    this.#slots = slots;
    this.#line = new SlotLine(slots, () => this.running > 0);
    this.advice = trace.enabled ? new Advice(slots.count) : undefined;
  }

  // Made here, because programs whose processes run one job start sooner without.
  readonly #crew = (): Crew => {
    if (this.#madeCrew === undefined) {
      const { Crew } = require('./crew.js') as typeof import('./crew.js');
      this.#madeCrew = new Crew(() => {
        this.#update();
        this.#notifyDrained();
      }, this);
    }
    return this.#madeCrew;
  };

  get running(): number {
    return this.#running.size;
  }

  /** A submission, which `begin` starts. */
  admit(request: SlotRequest): Submission {
    const submission = new Submission(this.#line, {
      ...request,
      onSlot: (token) => {
        this.#forget(submission);
        try {
          request.onSlot(token);
        } finally {
          this.#update();
        }
      },
      onError: (error) => {
        this.#forget(submission);
        this.#update();
        request.onError(error);
      },
    });
    this.#add(submission, this.#silent);
    return submission;
  }

  /**
   * Starts it after those before it. One whose function may not be exported
   * waits for a turn of the event loop, or until a call blocks the thread.
   */
  begin(submission: Submission): void {
    if (this.#held === 0) {
      if (!submission.mayBeRefused) {
        submission.start();
        return;
      }
      setImmediate(() => {
        selector.flush();
      });
    }
    this.#held += 1;
    selector.later(() => {
      this.#held -= 1;
      submission.start();
    });
  }

  /** A submission, which `begin` starts. */
  submit(
    request: JobRequest,
    onAdmission: (admission: Admission) => void,
  ): Submission {
    const call = new WaitingCall(request, this, onAdmission);
    const submission = new Submission(this.#line, call);
    call.submission = submission;
    const isRecipient = call.receivesCallbackErrors;
    this.#add(submission, isRecipient ? this.#recipients : this.#silent);
    call.plan.record.submitted();
    return submission;
  }

  /**
   * Lets a busy process begin the call after its own, without a place in the
   * line. Undefined when it may run only in a process of its own.
   */
  offer(
    request: JobRequest,
    onAdmission: (admission: Admission) => void,
  ): WaitingCall | undefined {
    if (!isSentAhead(request.plan)) return undefined;
    const call = new WaitingCall(request, this, onAdmission);
    this.#crew().await(call);
    return call;
  }

  /** Lets a process have the call before there is a slot. */
  onWait(call: WaitingCall): void {
    const { plan, gate, consume } = call;
    // The gate is asked when there is a slot.
    if (gate !== admitAlways || consume === 0 || !isSentAhead(plan)) return;
    this.#crew().await(call);
  }

  onSlot(call: WaitingCall, token: Token): void {
    this.#forget(call.submission);
    let future;
    try {
      future = this.start(call.plan, token);
    } catch (error) {
      this.onError(call, error);
      return;
    }
    call.onAdmission({ future });
  }

  onTurn(
    call: WaitingCall,
    process: ReusedProcess,
    begin: (job: ProcessJob) => void,
  ): ProcessJob {
    this.#forget(call.submission);
    const { plan } = call;
    const started = this.#makeJob(plan);
    const job = new ReusedJob(plan, started, process);
    begin(job);
    this.#follow(started, job);
    call.onAdmission({ future: started.future });
    return job;
  }

  onError(call: WaitingCall, error: unknown): void {
    this.#forget(call.submission);
    this.#update();
    call.plan.record.done('unstarted');
    call.onAdmission({ error });
  }

  /** Starts a job. Takes over the token, also where it throws. */
  start(plan: Plan, token: Token): Future<unknown> {
    const started = this.#makeJob(plan);
    const job = startJob(plan, token, started, this.#crew);
    this.#follow(started, job);
    return started.future;
  }

  #makeJob(plan: Plan): StartedJob {
    watchMemoryKills();
    return new StartedJob(plan, this);
  }

  #follow(started: StartedJob, job: Job): void {
    this.#running.add(started.place);
    this.#update();
    started.follow(job);
  }

  /** Changes the number of slots. */
  resize(count: number): void {
    this.#line.resize(count);
  }

  /** Fails the calls that wait, and ends processes that have no job. */
  close(error: () => Error): void {
    this.#isClosed = true;
    const pending = [...this.#recipients.values(), ...this.#silent.values()];
    for (const submission of pending) submission.fail(error());
    this.#line.close();
    this.#madeCrew?.close();
    this.#update();
    this.#notifyDrained();
  }

  /** Asks all jobs that run to end, by the signal, and SIGKILL later. */
  terminate(signal: number): void {
    for (const job of this.#running.values()) job.terminate(signal);
  }

  drain(): Promise<void> {
    if (this.#isDrained) return Promise.resolve();
    return new Promise((resolve) => this.#onDrained.push(resolve));
  }

  onUsage(usage: ProcessUsage): void {
    this.usage = addUsage(this.usage, usage);
  }

  onOver(job: StartedJob): void {
    this.#running.delete(job.place);
    this.#update();
    if (this.running > 0) return;
    // Two steps later, because the callbacks of the future run in between and
    // may submit again.
    selector.later(() => {
      selector.later(() => {
        this.#notifyDrained();
      });
    });
  }

  get #isDrained(): boolean {
    return this.running === 0 && this.#ending === 0;
  }

  /** What has to end besides jobs and calls before the pool is closed. */
  get #ending(): number {
    const processes = this.#isClosed ? (this.#madeCrew?.size ?? 0) : 0;
    return processes + Number(this.#settled !== undefined);
  }

  /** Waits for the jobs of jobs that were killed, if make needs their slots. */
  #settle(): void {
    const settled = this.#slots.settled();
    if (settled === this.#settled) return;
    this.#settled = settled;
    void settled?.then(() => {
      this.#settled = undefined;
      this.#update();
      this.#notifyDrained();
    });
  }

  #notifyDrained(): void {
    if (!this.#isDrained) return;
    if (this.#isClosed) this.advice?.give();
    const callbacks = this.#onDrained;
    this.#onDrained = [];
    for (const callback of callbacks) callback();
  }

  #add(submission: Submission, list: List<Submission>): void {
    list.add(submission.pending);
    this.#update();
  }

  #forget(submission: Submission | undefined): void {
    submission?.pending.list?.delete(submission.pending);
  }

  #update(): void {
    const pending = this.#recipients.size + this.#silent.size;
    const work = this.running + pending;
    if (work > 0) workerState.busy.add(this.#pool);
    else workerState.busy.delete(this.#pool);
    if (work === 0) this.#settle();
    this.hold.setWork(work + this.#ending);
  }
}
