// One job in a process that runs several, which has the token. If the process ends
// before it begins the job, or none can be started, the job gets a process of its
// own instead.
import type { Ending } from '../errors.js';
import type { ProcessJob } from '../launch/process-job.js';
import type { ReusedProcess } from '../launch/reused-process.js';
import type { JobStreams } from '../output/job-streams.js';
import { isPiped } from '../output/plan.js';
import type { Frame, ReportFrame } from '../protocol/frame.js';
import type { Order } from '../protocol/order.js';
import type { Token } from '../slots/token.js';
import { isFatal, signalName } from '../system/signals.js';
import type { ProcessUsage } from '../usage.js';
import type { Crew } from './crew.js';
import {
  type Job,
  type JobEvents,
  type Plan,
  isToRetry,
  neverBegan,
} from './plan.js';
import { RunningJob } from './running-job.js';
import { Termination } from './termination.js';

/** Starts a job. Takes over the token, also where it throws. */
export function startJob(
  plan: Plan,
  token: Token,
  events: JobEvents,
  crew: () => Crew,
): Job {
  // A process of several jobs has no result sockets of lenders.
  if (token.isLent || !isReusable(plan)) {
    return new RunningJob(plan, token, events);
  }
  const job = new ReusedJob(plan, events);
  job.start(crew(), token);
  return job;
}

/**
 * A process of several jobs has only the slot pipe that it was started with, no ends
 * of channels, and no input.
 */
function isReusable({ reuse, order, streams }: Plan): boolean {
  if (reuse === undefined || order.slotPipes.length > 1) return false;
  return order.ports === undefined && streams?.input === undefined;
}

/**
 * Whether a busy process may have it before there is a slot. With pipes of its own, it
 * might write before those of the job before it are read.
 */
export function isSentAhead(plan: Plan): boolean {
  const { streams } = plan;
  return isReusable(plan) && (streams === undefined || !isPiped(streams));
}

export class ReusedJob implements Job, ProcessJob {
  readonly #plan: Plan;
  readonly #events: JobEvents;
  #termination: Termination | undefined;
  #process: ReusedProcess | undefined;
  /** In a process of its own. */
  #alone: RunningJob | undefined;
  #isGone = false;
  /** It was sent a signal that may end it. */
  #isEnding = false;
  /** How the first attempt has ended, while a job of its own runs in the slot. */
  #lost:
    { readonly frame: Frame | undefined; readonly ending: Ending } | undefined;

  /** `process`: one that begins it now; default: `start` finds one. */
  constructor(plan: Plan, events: JobEvents, process?: ReusedProcess) {
    this.#plan = plan;
    this.#events = events;
    this.#process = process;
  }

  /** Takes over the token, also where it throws. */
  start(crew: Crew, token: Token): void {
    this.#process = crew.run(this, this.#plan, token);
    if (this.#process === undefined) this.#startAlone(token);
  }

  get order(): Order {
    return this.#plan.order;
  }

  get streams(): JobStreams | undefined {
    const { streams } = this.#plan;
    const hasPipes = streams !== undefined && isPiped(streams);
    return hasPipes ? this.#events.streams : undefined;
  }

  get pid(): number | undefined {
    return (this.#process ?? this.#alone)?.pid;
  }

  advance(): void {
    (this.#process ?? this.#alone)?.advance();
  }

  kill(signal: number, runTimeout = 0): boolean {
    // First, so that the process begins no other job.
    this.#process?.catchUp();
    if (this.#isGone) return false;
    if (isFatal(signal)) this.#isEnding = true;
    if (this.#lost !== undefined) {
      if (this.#isEnding) this.#finish(this.#lost.frame, this.#lost.ending);
      return true;
    }
    if (this.#process === undefined) {
      return this.#alone!.kill(signal, runTimeout);
    }
    const { pid } = this.#process;
    if (isFatal(signal) && this.#process.recall()) {
      this.#events.onSlotFree();
      this.#finish(undefined, {
        pid,
        exitCode: null,
        signal: signalName(signal),
      });
    } else {
      this.#process.kill(signal, runTimeout);
    }
    return true;
  }

  terminate(signal?: number, runTimeout?: number): void {
    if (this.#isGone) return;
    this.#events.streams?.hurry();
    this.#termination ??= new Termination(this, this.#plan.bounds.killGrace);
    this.#termination.start(signal, runTimeout);
  }

  onBegun(): void {
    this.#events.onBegun();
  }

  onReport(report: ReportFrame): void {
    this.#events.onReports([report]);
  }

  onAnswer(frame: Frame, usage: ProcessUsage | undefined): void {
    const { pid } = this.#process!;
    const ending = { pid, exitCode: null, signal: null };
    this.#events.onSlotFree();
    this.#finish(frame, usage === undefined ? ending : { ...ending, usage });
  }

  onUnclaimed(token: Token): void {
    this.#restart(token, 1);
  }

  // Without the usage, because it is that of all jobs of the process.
  onEnd(frame: Frame | undefined, { usage: _, ...ending }: Ending): void {
    if (this.#isEnding || !isToRetry(this.#plan, 1, frame)) {
      this.#finish(frame, ending);
    } else {
      this.#lost = { frame, ending };
      this.#events.onRetry();
    }
  }

  onSlotFree(token: Token | undefined): void {
    const lost = this.#isGone ? undefined : this.#lost;
    this.#lost = undefined;
    if (lost !== undefined && token !== undefined) {
      this.#restart(token, 2);
      return;
    }
    token?.give();
    this.#events.onSlotFree();
    if (lost !== undefined) this.#finish(lost.frame, lost.ending);
  }

  #finish(frame: Frame | undefined, ending: Ending): void {
    this.#isGone = true;
    this.#termination?.stop();
    this.#events.onGone(frame, ending);
  }

  #restart(token: Token, attempt: number): void {
    this.#process = undefined;
    try {
      this.#startAlone(token, attempt);
    } catch (refusal) {
      this.#events.onSlotFree();
      this.#finish(undefined, { ...neverBegan, refusal: refusal as Error });
    }
  }

  #startAlone(token: Token, attempt = 1): void {
    const events: JobEvents = {
      streams: this.#events.streams,
      onEnded: (usage) => {
        this.#events.onEnded(usage);
      },
      onBegun: () => {
        this.#events.onBegun();
      },
      onRetry: () => {
        this.#events.onRetry();
      },
      onReports: (reports) => {
        this.#events.onReports(reports);
      },
      onSlotFree: () => {
        this.#events.onSlotFree();
      },
      onGone: (frame, ending) => {
        this.#finish(frame, ending);
      },
    };
    this.#alone = new RunningJob(this.#plan, token, events, attempt);
  }
}
