// The interface between a process that runs several jobs, each of these jobs, and the
// owner of the process.
import type { Ending } from '../errors.js';
import type { JobStreams } from '../output/job-streams.js';
import type { Frame, ReportFrame } from '../protocol/frame.js';
import type { Order } from '../protocol/order.js';
import type { Token } from '../slots/token.js';
import type { ProcessUsage } from '../usage.js';

/** A job for a process that runs several. Each method but `onReport` is called at most once. */
export interface ProcessJob {
  readonly order: Order;
  /** Undefined: those of the process. */
  readonly streams: JobStreams | undefined;
  /** The process has begun the job, or does so at once. */
  onBegun(): void;
  onReport(report: ReportFrame): void;
  /**
   * The process lives on, and the job has no slot any more. `usage`: what it has
   * used, if that was measured.
   */
  onAnswer(frame: Frame, usage: ProcessUsage | undefined): void;
  /** The process has ended before it began the job, which gets its token. */
  onUnclaimed(token: Token): void;
  /** The process has ended; `frame` is what it has answered. */
  onEnd(frame: Frame | undefined, ending: Ending): void;
  /**
   * Follows `onEnd` once no process runs in the slot. The job gets its token; it had
   * none if the process has claimed it out of turn.
   */
  onSlotFree(token: Token | undefined): void;
}

/** Who is notified about the process. */
export interface ProcessEvents {
  /** A job has answered that has run for `ms` milliseconds. */
  readonly onRun: (ms: number) => void;
  /** It has no job, and can take another one. */
  readonly onFree: () => void;
  readonly onGone: (usage: ProcessUsage | undefined) => void;
}
