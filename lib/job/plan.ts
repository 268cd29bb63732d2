// What a job is to be, how it is seen while it runs, and who is notified about it.
import type { Ending } from '../errors.js';
import type { FunctionRef } from '../functions/function-ref.js';
import type { JobStreams } from '../output/job-streams.js';
import type { StreamPlan } from '../output/plan.js';
import type { Frame, ReportFrame } from '../protocol/frame.js';
import type { Order } from '../protocol/order.js';
import type { ProcessSettings } from '../protocol/settings.js';
import type { ProcessUsage } from '../usage.js';
import type { Future } from './future.js';
import type { JobRecord } from './record.js';
import type { OutputListener } from './streams.js';

/** All that is needed to start a job, captured when it was submitted. */
export interface Plan {
  readonly order: Order;
  readonly reuse: Reuse | undefined;
  readonly bounds: Bounds;
  /** Undefined: it writes where this process does, and reads nothing. */
  readonly streams: StreamPlan | undefined;
  readonly listener: OutputListener<never> | undefined;
  readonly signal: AbortSignal | undefined;
  readonly record: JobRecord;
  /** What the job imports. */
  readonly functions: readonly FunctionRef[];
  /** How many calls of a map it makes; 0 for another job. */
  readonly calls: number;
}

/** See {@link JobControls.onReport}. */
export type ReportListener = (value: unknown, future: Future<unknown>) => void;

/** When the library ends a job, and how; and what it does meanwhile. */
export interface Bounds {
  readonly onReport: ReportListener | undefined;
  /** Milliseconds from the start of the job; may be Infinity. */
  readonly runTimeout: number;
  /** Milliseconds between SIGTERM and SIGKILL; may be Infinity. */
  readonly killGrace: number;
  /** How often a job that is lost is started again; may be Infinity. */
  readonly retries: number;
  readonly settings: ProcessSettings | undefined;
  /** Of V8; undefined: as it is by default. */
  readonly maxHeapMb: number | undefined;
}

/**
 * Whether a job that has ended with this frame, of its own accord, is started again
 * after so many attempts.
 */
export function isToRetry(
  { bounds, signal, order }: Plan,
  attempt: number,
  frame: Frame | undefined,
): boolean {
  if (attempt > bounds.retries || signal?.aborted === true) return false;
  const isLost = frame === undefined || frame.kind === 'lost';
  return isLost && !order.slotPipes[0]!.isClosed;
}

/** How a process is used for several jobs. */
export interface Reuse {
  /** How many jobs a process runs, above 1; may be Infinity. */
  readonly jobsPerProcess: number;
  /** Milliseconds that a process lives on without a job. */
  readonly idleTimeout: number;
}

/** A job in a process. */
export interface Job {
  /** Undefined while it has no process. */
  readonly pid: number | undefined;
  /** Handles what has happened; never waits. */
  advance(): void;
  /**
   * False when the job has finished, and gets no signal. runTimeout: the limit that
   * the job has exceeded, which `jobSignal` reports; 0: none.
   */
  kill(signal: number, runTimeout?: number): boolean;
  /** Sends the signal, by default SIGTERM, and SIGKILL after a grace period. */
  terminate(signal?: number, runTimeout?: number): void;
}

/** Who is notified about a job. */
export interface JobEvents {
  /** Undefined: the process of the job has the default streams. */
  readonly streams: JobStreams | undefined;
  /** A process has begun the job; again when it turns out that it has not. */
  readonly onBegun: () => void;
  /** The process of an attempt has ended. */
  readonly onEnded: (usage: ProcessUsage) => void;
  /** The job was lost, and is started again. */
  readonly onRetry: () => void;
  readonly onReports: (reports: readonly ReportFrame[]) => void;
  /** Follows `onGone` where a lender has ended before its borrower. */
  readonly onSlotFree: () => void;
  readonly onGone: (frame: Frame | undefined, ending: Ending) => void;
}

export const neverBegan = { pid: 0, exitCode: null, signal: null } as const;
