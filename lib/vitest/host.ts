// The Jobserver of a pool, which all files share. It is open while files run, so that
// its zygotes end soon after a run in watch mode, and at once with vitest.
import { clearTimeout, setTimeout } from 'node:timers';
import type { Context } from '../context.js';
import { Jobserver } from '../jobserver.js';

// vitest starts the next file before the last one has ended, except between groups.
const idleMs = 1000;

export class Host {
  readonly #context: Context;
  readonly #slots: number | undefined;
  #jobserver: Jobserver | undefined;
  #users = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `slots`: undefined for as many as there are workers. */
  constructor(context: Context, slots: number | undefined) {
    this.#context = context;
    this.#slots = slots;
  }

  /** The Jobserver, until `release` is called. `workers`: of vitest, at most. */
  acquire(workers: number): Jobserver {
    clearTimeout(this.#timer);
    this.#users += 1;
    this.#jobserver ??= new Jobserver({
      slots: this.#slots ?? workers,
      context: this.#context,
      preload: [],
    });
    const { slots = workers } = this.#jobserver;
    if (this.#slots === undefined && workers > slots) {
      this.#jobserver.resize(workers);
    }
    return this.#jobserver;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#timer = setTimeout(() => {
      this.close();
    }, idleMs).unref();
  }

  /** Files that run go on. */
  close(): void {
    clearTimeout(this.#timer);
    this.#jobserver?.closeSync();
    this.#jobserver = undefined;
  }
}
