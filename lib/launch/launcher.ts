// The seam between what a job is and how its process comes to be.
import type { Ending } from '../errors.js';
import type { LocalCall } from '../protocol/order.js';
import type { SlotPipe } from '../slots/slot-pipe.js';

/** A submitted call, captured when it was submitted. */
export interface Order {
  /** The encoded call in parts, for child/run; none for a local call. */
  readonly body: readonly Buffer[];
  /** What a fork of this process runs instead: nothing of it is encoded. */
  readonly local: LocalCall | undefined;
  /** `NAME=value`, all of it. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly execArgv: readonly string[];
  /** Modules that a forkserver has to have loaded. */
  readonly preload: readonly string[];
  /** 0: the job outlives its submitter. */
  readonly orphanSignal: number;
  /** Slot pipes the worker inherits; the first is the one that it runs under. */
  readonly slotPipes: readonly SlotPipe[];
}

/** The process of one job; reaped once, and never signalled afterwards. */
export interface Worker {
  readonly pid: number;
  /** Borrowed: readable when there is news of its end; -1 where nothing tells. It may change by a `reap`. */
  readonly exitFd: number;
  /** How it ended, undefined while it runs. Never waits. */
  reap(): Ending | undefined;
  kill(signal: number): void;
  /** Only once it is reaped. */
  close(): void;
}

export interface Launcher {
  /**
   * Starts a worker. `resultWriter` is borrowed; `token` is the byte of the
   * slot that the job holds, -1 for none. Throws when nothing was started.
   */
  launch(order: Order, resultWriter: number, token: number): Worker;
}
