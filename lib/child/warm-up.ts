// Runs the function of `warmUp` in the zygote. V8 compiles what it runs often, and
// forks inherit the machine code.
import { importFunction } from '../functions/function-ref.js';
import type { WarmUp } from '../protocol/preparation.js';
import { native } from '../system/binding.js';
import { now } from '../system/deadline.js';
import { trace } from '../system/trace.js';
import { present, unlessLoopEnds, whatIsLeft } from './fitness.js';

// Less cannot be measured well.
const roundMs = 100;

// After so many rounds in so much time that were no faster, V8 has compiled what
// matters. A few rounds of slow calls are no faster by chance.
const vainRounds = 3;
const vainMs = 1_000;
const fasterBy = 0.95;

// For what the function leaves to end, as for a preloaded module.
const restMs = 8_000;

// As much CPU time as a job is likely to take. What a long job writes to is more
// than it pays to copy for all.
const scoutMs = 20;

// After the timeout, for a call to settle. The process of one that blocks is ended
// after twice this time.
const graceMs = 1_000;

export class WarmingUp {
  readonly #warmUp: WarmUp;
  #deadline = Infinity;
  #fn: Function | undefined;
  #calls = 0;

  constructor(warmUp: WarmUp) {
    this.#warmUp = warmUp;
  }

  /** Calls the function until it takes no less time, for two thirds of the timeout. */
  async untilSteady(): Promise<void> {
    const timeout = this.#warmUp.timeout ?? Infinity;
    const start = now();
    const end = start + (timeout * 2) / 3;
    this.#deadline = start + timeout;
    // What each call leaves, the first one has left.
    await this.#run(async () => {
      this.#fn = await importFunction(this.#warmUp.fn);
      await this.#call(this.#fn);
    });
    await this.#run(async () => {
      const fn = this.#fn!;
      let best = Infinity;
      let rounds = 0;
      let vainFrom = now();
      const isSteady = (): boolean =>
        rounds >= vainRounds && now() >= vainFrom + vainMs;
      while (!isSteady() && now() < end) {
        const ms = await this.#round(fn);
        rounds += 1;
        if (ms < best * fasterBy) {
          rounds = 0;
          vainFrom = now();
        }
        best = Math.min(best, ms);
        trace('warm-up: %d calls, the last ones took %d ms', this.#calls, ms);
      }
    });
  }

  /** Calls it half as often again. */
  again(): Promise<void> {
    const most = this.#calls * 1.5;
    return this.#run(async () => {
      while (this.#calls < most && now() < this.#deadline) {
        await this.#call(this.#fn!);
      }
    });
  }

  /** For the scout, which has little time: what a job writes to, a call does too. */
  async onceMore(): Promise<void> {
    native.endScoutAfter(scoutMs);
    await this.#call(this.#fn!).catch(() => undefined);
  }

  /** The milliseconds of CPU that a call takes, on average. */
  async #round(fn: Function): Promise<number> {
    const start = now();
    const before = process.cpuUsage();
    let calls = 0;
    do {
      await this.#call(fn);
      calls += 1;
    } while (now() - start < roundMs);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000 / calls;
  }

  async #call(fn: Function): Promise<void> {
    this.#calls += 1;
    await Reflect.apply(fn, undefined, []);
  }

  async #run(work: () => Promise<void>): Promise<void> {
    const before = present();
    const left = Math.max(0, this.#deadline - now());
    native.endAfter(left + 2 * graceMs);
    const end = await unlessLoopEnds(work(), left + graceMs);
    native.endAfter(0);
    const reason = whyUnsettled(end) ?? (await whatIsLeft(before, restMs));
    if (reason === undefined) return;
    throw new Error(`it ${reason}`);
  }
}

function whyUnsettled(end: unknown): string | undefined {
  if (end === 'late') return 'has not settled in time';
  if (end !== 'empty') return undefined;
  return 'waits for a promise that nothing is left to settle';
}
