// One job in a process that runs several. This object owns the token. If the
// process ends before it begins the job, or none can be started, the job gets a
// process of its own instead.
import type { Ending } from '../errors.js';
import type { ProcessJob } from '../launch/process-job.js';
import type { ReusedProcess } from '../launch/reused-process.js';
import type { Frame } from '../protocol/frame.js';
import type { Order } from '../protocol/order.js';
import type { Token } from '../slots/slot-pipe.js';
import { isFatal, signalName } from '../system/signals.js';
import type { Crew } from './crew.js';
import {
  type Job,
  type JobEvents,
  type Plan,
  RunningJob,
  neverBegan,
} from './running-job.js';
import { Termination } from './termination.js';

/** Starts a job. Takes over the token, also where it throws. */
export function startJob(
  plan: Plan,
  token: Token,
  events: JobEvents,
  crew: Crew,
): Job {
  return isForCrew(plan, token)
    ? new ReusedJob(plan, token, events, crew)
    : new RunningJob(plan, token, events);
}

// A process of several jobs has the slot pipe that it was started with, and no
// result pipes of lenders.
function isForCrew(plan: Plan, { lenders }: Token): boolean {
  return lenders.length === 0 && isReusable(plan);
}

export function isReusable({ reuse, order }: Plan): boolean {
  return reuse !== undefined && order.slotPipes.length === 1;
}

class ReusedJob implements Job, ProcessJob {
  readonly token: Token;
  readonly #plan: Plan;
  readonly #events: JobEvents;
  readonly #termination = new Termination(this);
  #process: ReusedProcess | undefined;
  /** In a process of its own. */
  #alone: RunningJob | undefined;
  #isGone = false;
  #isTokenPassed = false;

  constructor(plan: Plan, token: Token, events: JobEvents, crew: Crew) {
    this.#plan = plan;
    this.token = token.move();
    this.#events = events;
    this.#process = crew.run(this, plan);
    if (this.#process === undefined) this.#startAlone();
  }

  get order(): Order {
    return this.#plan.order;
  }

  get pid(): number | undefined {
    return (this.#process ?? this.#alone)?.pid;
  }

  advance(): void {
    (this.#process ?? this.#alone)?.advance();
  }

  kill(signal: number): boolean {
    // First, so that the process begins no other job.
    this.#process?.recallAllAhead();
    this.#process?.advance();
    if (this.#isGone) return false;
    if (this.#process === undefined) return this.#alone!.kill(signal);
    const { pid } = this.#process;
    if (isFatal(signal) && this.#process.recall()) {
      this.onEnd(undefined, {
        pid,
        exitCode: null,
        signal: signalName(signal),
      });
      this.onSlotFree();
    } else {
      this.#process.kill(signal);
    }
    return true;
  }

  terminate(): void {
    this.#termination.start();
  }

  passToken(): Token {
    const token = this.token.move();
    this.#isTokenPassed = true;
    return token;
  }

  onAnswer(frame: Frame): void {
    const { pid } = this.#process!;
    if (this.#isTokenPassed) this.#events.onSlotFree();
    else this.#free();
    this.onEnd(frame, { pid, exitCode: null, signal: null });
  }

  onUnclaimed(): void {
    this.#process = undefined;
    try {
      this.#startAlone();
    } catch (refusal) {
      this.#events.onSlotFree();
      this.onEnd(undefined, { ...neverBegan, refusal: refusal as Error });
    }
  }

  onEnd(frame: Frame | undefined, ending: Ending): void {
    this.#isGone = true;
    this.#termination.stop();
    this.#events.onGone(frame, ending);
  }

  onSlotFree(): void {
    this.#free();
  }

  #free(): void {
    this.token.give();
    this.#events.onSlotFree();
  }

  #startAlone(): void {
    const { onSlotFree, onGone } = this.#events;
    this.#alone = new RunningJob(this.#plan, this.token, {
      onSlotFree,
      onGone: (frame, ending) => {
        this.#isGone = true;
        this.#termination.stop();
        onGone(frame, ending);
      },
    });
  }
}
