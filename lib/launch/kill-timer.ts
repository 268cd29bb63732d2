// Kills a process that was asked to end, and has not after a grace period.
import { clearTimeout, setTimeout } from 'node:timers';

const graceMs = 5000;

export class KillTimer {
  readonly #kill: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(kill: () => void) {
    this.#kill = kill;
  }

  get isRunning(): boolean {
    return this.#timer !== undefined;
  }

  /** The first call counts. */
  start(): void {
    this.#timer ??= setTimeout(this.#kill, graceMs).unref();
  }

  /** Called once the process is gone. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
