// The interface between a job and the way its process starts.
import type { Ending } from '../errors.js';
import type { Stdio } from '../output/plan.js';
import type { Order } from '../protocol/order.js';
import type { Token } from '../slots/token.js';

/** The process of one job; reaped once, and never signaled afterwards. */
export interface Worker {
  readonly pid: number;
  /**
   * Borrowed: readable when `reap` may have an answer; -1 where the kernel has
   * no such fd. A call of `reap` may change it.
   */
  readonly exitFd: number;
  /**
   * False until it is known that the process has begun the job, or never will.
   * Never waits; `exitFd` is readable when that may have changed.
   */
  readonly hasBegun: boolean;
  /** How the process ended; undefined while it runs. Never waits. */
  reap(): Ending | undefined;
  /** runTimeout: the limit that was exceeded, for the worker; 0: another reason. */
  kill(signal: number, runTimeout: number): void;
  /** Only after it is reaped. */
  close(): void;
}

export interface Launcher {
  /**
   * Starts a worker. Borrows the writer, the token and the streams. Throws when
   * nothing was started.
   */
  launch(
    order: Order,
    resultWriter: number,
    token: Token,
    stdio?: Stdio,
  ): Worker;
}
