// The interface between a process that runs several jobs and each of these jobs.
import type { Ending } from '../errors.js';
import type { Frame } from '../protocol/frame.js';
import type { Order } from '../protocol/order.js';
import type { Token } from '../slots/slot-pipe.js';

/** A job for a process that runs several. Each method is called at most once. */
export interface ProcessJob {
  readonly order: Order;
  /** The job owns it, and gives it back in `onAnswer` or `onSlotFree`. */
  readonly token: Token;
  /** Gives up the token, for the job that runs next in the slot. */
  passToken(): Token;
  /** The process lives on. The slot is free, unless the token was passed. */
  onAnswer(frame: Frame): void;
  /** The process has ended before it began the job. */
  onUnclaimed(): void;
  /** The process has ended; `frame` is what it has answered. */
  onEnd(frame: Frame | undefined, ending: Ending): void;
  /** Follows `onEnd` once no process runs in the slot. */
  onSlotFree(): void;
}
