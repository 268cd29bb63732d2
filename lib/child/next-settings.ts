// The settings of a worker: it enters them before its first job, so that this job
// fails with what the worker may not do.
import { type ProcessSettings, areEntered } from '../protocol/settings.js';

export class NextSettings {
  readonly #settings: ProcessSettings | undefined;
  #hasEntered = false;

  constructor(settings: ProcessSettings | undefined) {
    this.#settings = settings && areEntered(settings) ? settings : undefined;
  }

  /** Before each job. */
  enter(): void {
    if (this.#settings === undefined) return;
    // Here, because most jobs have none, and start sooner without it.
    const { enterSettings, limitCpuTime } =
      require('./settings.js') as typeof import('./settings.js');
    if (this.#hasEntered) limitCpuTime(this.#settings);
    else enterSettings(this.#settings);
    this.#hasEntered = true;
  }
}
