// A job that was started, and who is notified about it: its future, its record
// and the pool. An abort of its signal ends it.
import type { Ending } from '../errors.js';
import type { Frame } from '../protocol/frame.js';
import { onAbort } from '../system/abort.js';
import { now } from '../system/deadline.js';
import { trace } from '../system/trace.js';
import { encodeThrown } from '../wire/value.js';
import type { Advice } from './advice.js';
import { type Future, type FutureOwner, futureControl } from './future.js';
import type { Job, JobEvents, Plan } from './running-job.js';

export class StartedJob implements JobEvents {
  readonly #plan: Plan;
  readonly #countDown: () => void;
  readonly #advice: Advice | undefined;
  readonly #startedAt: number;
  readonly future: Future<unknown>;
  #job: Job | undefined;
  #offAbort: (() => void) | undefined;

  /** `countDown` is called when the slot is free. */
  constructor(
    plan: Plan,
    owner: FutureOwner,
    countDown: () => void,
    advice: Advice | undefined,
  ) {
    this.#plan = plan;
    this.#countDown = countDown;
    this.#advice = advice;
    this.#startedAt = advice === undefined ? 0 : now();
    this.future = futureControl.create(owner);
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

  onSlotFree(): void {
    this.#countDown();
  }

  onGone(arrived: Frame | undefined, ending: Ending): void {
    this.#offAbort?.();
    const frame = arrived ?? this.#suspicion(ending);
    const { pid, exitCode, signal, refusal } = ending;
    if (trace.enabled) {
      const result = frame?.kind ?? 'no result';
      const how = `exit code ${exitCode}, signal ${signal}`;
      trace('job %d finished: %s, %s', pid, result, how);
    }
    if (frame?.times !== undefined) {
      this.#advice?.addJob(this.#plan, now() - this.#startedAt, frame.times);
    }
    futureControl.settle(this.future, frame, ending);
    const lost = refusal === undefined ? 'lost' : 'unstarted';
    this.#plan.record.done(frame?.kind ?? lost, ending);
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

  #abort({ reason }: AbortSignal): void {
    futureControl.abort(this.future, reason);
    this.#job!.terminate();
  }
}
