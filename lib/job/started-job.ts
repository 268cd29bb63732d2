// A job that was started, and who is notified about it: its future, its record
// and the pool. An abort of its signal ends it, and so does the end of its time.
import { AbortError, type Ending } from '../errors.js';
import type { Frame, ReportFrame } from '../protocol/frame.js';
import { onAbort } from '../system/abort.js';
import { type Timer, now } from '../system/deadline.js';
import { Link } from '../system/list.js';
import { selector } from '../system/selector.js';
import { trace } from '../system/trace.js';
import { decode, encodeThrown } from '../wire/value.js';
import type { JobStreams } from '../output/job-streams.js';
import type { Listener, StreamPlan } from '../output/plan.js';
import { type ProcessUsage, addUsage } from '../usage.js';
import type { Advice } from './advice.js';
import { type Future, type FutureOwner, futureControl } from './future.js';
import { exceeded } from './process-controls.js';
import type { Job, JobEvents, Plan, ReportListener } from './plan.js';

/** The pool. */
export interface JobOwner {
  readonly errors: FutureOwner;
  readonly advice: Advice | undefined;
  /** The job has no slot any more, and its future is done. */
  onOver(job: StartedJob): void;
  /** A process that runs one job has ended. */
  onUsage(usage: ProcessUsage): void;
}

export class StartedJob implements JobEvents {
  readonly #plan: Plan;
  readonly #owner: JobOwner;
  readonly #startedAt: number;
  readonly streams: JobStreams | undefined;
  readonly future: Future<unknown>;
  /** Its place among all that hold a slot. */
  readonly place: Link<StartedJob> = new Link<StartedJob>(this);
  #job: Job | undefined;
  /** Its listener has thrown, and is called no more. */
  #hasRaised = false;
  #offAbort: (() => void) | undefined;
  #timer: Timer | undefined;

  /** Of the processes of all attempts that have ended. */
  #usage: ProcessUsage | undefined;
  /** How many batches of reports the listener has not had yet. */
  #reporting = 0;
  #onHeard: (() => void) | undefined;
  /** How many of these have not ended: its slot, and its output. */
  #pending: number;

  constructor(plan: Plan, owner: JobOwner) {
    this.#plan = plan;
    this.#owner = owner;
    this.#startedAt = owner.advice === undefined ? 0 : now();
    this.future = futureControl.create(owner.errors);
    this.streams = plan.streams && this.#open(plan.streams);
    this.#pending = this.streams === undefined ? 1 : 2;
  }

  // Required here, because most jobs start sooner without it.
  #open(streams: StreamPlan): JobStreams {
    const { JobStreams } =
      require('../output/job-streams.js') as typeof import('../output/job-streams.js');
    const { listener } = this.#plan;
    const { future } = this;
    const bound: Listener | undefined =
      listener && ((data, name) => listener(data as never, name, future));
    return new JobStreams(streams, bound, (error) => {
      futureControl.raise(future, error);
    });
  }

  /** The job has begun. */
  follow(job: Job): void {
    const { signal, record } = this.#plan;
    this.#job = job;
    futureControl.start(this.future, job);
    if (signal !== undefined) {
      const abort = (): void => {
        this.#abort(signal);
      };
      this.#offAbort = onAbort(signal, abort);
      // The process has begun it while the abort tried to take it back.
      if (signal.aborted) abort();
    }
    record.started(this.future);
  }

  onBegun(): void {
    const { runTimeout } = this.#plan.bounds;
    if (runTimeout === Infinity) return;
    // It was called before, for a process that had not begun the job.
    this.#timer?.cancel();
    this.#timer = selector.alarm(runTimeout, () => {
      this.#timeOut();
    });
  }

  onRetry(): void {
    this.#timer?.cancel();
    this.streams?.end();
    this.#plan.record.attempt += 1;
  }

  onEnded(usage: ProcessUsage): void {
    this.#owner.onUsage(usage);
    this.#usage = addUsage(this.#usage, usage);
  }

  onReports(reports: readonly ReportFrame[]): void {
    const { onReport } = this.#plan.bounds;
    if (onReport === undefined) return;
    this.#reporting += 1;
    // After the handlers of this turn, and before the job is done.
    selector.later(() => {
      for (const report of reports) this.#hear(report, onReport);
      this.#reporting -= 1;
      if (this.#reporting === 0) this.#onHeard?.();
    });
  }

  #hear(
    { kind, content, buffers }: ReportFrame,
    listener: ReportListener,
  ): void {
    if (this.#hasRaised) return;
    try {
      const value = decode(content, undefined, buffers);
      if (kind === 'error') throw value as Error;
      listener(value, this.future);
    } catch (error) {
      this.#hasRaised = true;
      futureControl.raise(this.future, error);
    }
  }

  onSlotFree(): void {
    this.#endPart();
  }

  #endPart(): void {
    this.#pending -= 1;
    if (this.#pending === 0) this.#owner.onOver(this);
  }

  onGone(frame: Frame | undefined, ending: Ending): void {
    this.#offAbort?.();
    this.#timer?.cancel();
    this.streams?.end();
    const end = (): void => {
      this.#end(frame, ending);
    };
    if (this.#reporting > 0) this.#onHeard = end;
    else end();
  }

  /** The listener of reports has had all of them. */
  #end(frame: Frame | undefined, ending: Ending): void {
    if (this.streams === undefined) {
      this.#settle(frame, ending);
      return;
    }
    this.streams.whenDelivered(() => {
      this.#settle(frame, ending);
      this.#endPart();
    });
  }

  #settle(arrived: Frame | undefined, ending: Ending): void {
    const frame = arrived ?? this.#suspicion(ending);
    const { pid, exitCode, signal, refusal } = ending;
    if (trace.enabled) {
      const result = frame?.kind ?? 'no result';
      const how = `exit code ${exitCode}, signal ${signal}`;
      trace('job %d finished: %s, %s', pid, result, how);
    }
    if (frame?.times !== undefined) {
      this.#owner.advice?.addJob(
        this.#plan,
        now() - this.#startedAt,
        frame.times,
      );
    }
    const limit = exceeded(signal, this.#plan.bounds);
    const known = limit === undefined ? ending : { ...ending, limit };
    this.#report(ending);
    futureControl.settle(this.future, frame, known);
    for (const port of this.#plan.order.ports ?? []) {
      port.end(futureControl.loss(this.future));
    }
    const lost = refusal === undefined ? 'lost' : 'unstarted';
    this.#plan.record.done(frame?.kind ?? lost, ending);
  }

  /** What the future and the record say of it besides its outcome. */
  #report(ending: Ending): void {
    const used = this.#usage ?? ending.usage;
    if (used === undefined && this.streams === undefined) return;
    const { record } = this.#plan;
    const wall = now() - (record.startedAt ?? now());
    record.usage = used && { ...used, wall };
    futureControl.note(this.future, record.usage, this.streams?.takeKept());
  }

  /** Names what the job may have written to when the kernel has ended it. */
  #suspicion({ signal }: Ending): Frame | undefined {
    const [length] = this.#plan.order.enclosures?.constants ?? [];
    const mayBe = signal === 'SIGSEGV' || signal === 'SIGBUS';
    if (!mayBe || length === undefined) return undefined;
    const text =
      `The job may have written to bytes that nobody can change: those of ` +
      `share(bytes) among its arguments, ${length} bytes long`;
    return { kind: 'lost', content: encodeThrown(new Error(text)) };
  }

  /** Sends the signal, and SIGKILL after a grace period. */
  terminate(signal: number): void {
    this.#job?.terminate(signal);
  }

  #abort({ reason }: AbortSignal): void {
    futureControl.fail(this.future, new AbortError(reason));
    this.#job!.terminate();
  }

  #timeOut(): void {
    const { record, bounds } = this.#plan;
    const job = this.#job!;
    const text =
      `Job ${job.pid} (${record.name}) was ended because it ran for longer than ` +
      `its runTimeout of ${bounds.runTimeout} ms`;
    futureControl.fail(this.future, new DOMException(text, 'TimeoutError'));
    record.timedOut = true;
    job.terminate(undefined, bounds.runTimeout);
  }
}
