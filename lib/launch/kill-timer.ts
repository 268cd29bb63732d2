// Kills a process that was asked to end, and has not after a grace period.
import { defaultGraceMs } from '../protocol/settings.js';
import type { Timer } from '../system/deadline.js';
import { selector } from '../system/selector.js';

export class KillTimer {
  readonly #kill: () => void;
  readonly #graceMs: number;
  #timer: Timer | undefined;

  constructor(kill: () => void, graceMs = defaultGraceMs) {
    this.#kill = kill;
    this.#graceMs = graceMs;
  }

  get isRunning(): boolean {
    return this.#timer !== undefined;
  }

  /** The first call counts. */
  start(): void {
    this.#timer ??= selector.alarm(this.#graceMs, this.#kill);
  }

  /** Called once the process is gone. */
  stop(): void {
    this.#timer?.cancel();
  }
}
