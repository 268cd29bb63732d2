// The interface between a process that runs several jobs and each of these jobs.
import type { Ending } from '../errors.js';
import type { Frame } from '../protocol/frame.js';
import type { Order } from '../protocol/order.js';
import type { Token } from '../slots/slot-pipe.js';

/** A job for a process that runs several. Each method is called at most once. */
export interface ProcessJob {
  readonly order: Order;
  /** The process lives on, and the job has no slot any more. */
  onAnswer(frame: Frame): void;
  /** The process has ended before it began the job, which gets its token. */
  onUnclaimed(token: Token): void;
  /** The process has ended; `frame` is what it has answered. */
  onEnd(frame: Frame | undefined, ending: Ending): void;
  /** Follows `onEnd` once no process runs in the slot. */
  onSlotFree(): void;
}
