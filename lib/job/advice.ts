// With a trace, what the processes of a pool have cost. At its end, one line says
// which options would have made that less, if it was more than their work.
import type { Context } from '../context.js';
import type { Times } from '../protocol/frame.js';
import { trace } from '../system/trace.js';
import type { Plan } from './plan.js';

// For fewer jobs in a slot, an option would not change much.
const manyInSlot = 4;

/** Starts and ends of processes. */
class Starts {
  #count = 0;
  /** Of one: others may have waited for a submitter that was busy. */
  #leastMs = Infinity;

  get count(): number {
    return this.#count;
  }

  add(ms: number): void {
    this.#count += 1;
    this.#leastMs = Math.min(this.#leastMs, Math.max(0, ms));
  }

  get ms(): number {
    return this.#count === 0 ? 0 : this.#count * this.#leastMs;
  }
}

export class Advice {
  readonly #many: number;
  /** Processes of one job. */
  readonly #fresh = new Starts();
  readonly #reused = new Starts();
  /** Those of several jobs, which have a limit. */
  #limited = 0;
  /** Jobs that make one call of a map. */
  #singles = 0;
  #loadMs = 0;
  #runMs = 0;
  #context: Context | undefined;
  #isGiven = false;

  constructor(slots = 1) {
    this.#many = manyInSlot * slots;
  }

  /** A job with a process of its own, from the start to the end of that. */
  addJob({ order, calls }: Plan, ms: number, { load, run }: Times): void {
    this.#context = order.context;
    this.#fresh.add(ms - load - run);
    this.#loadMs += load;
    this.#runMs += run;
    if (calls === 1) this.#singles += 1;
  }

  /** A process of several jobs, until it began the first one. */
  addProcess(ms: number, jobsPerProcess: number): void {
    this.#reused.add(ms);
    if (jobsPerProcess < Infinity) this.#limited += 1;
  }

  /** A job in a process of several. */
  addRun(ms: number): void {
    this.#runMs += ms;
  }

  /** To the trace, once. */
  give(): void {
    if (this.#isGiven) return;
    this.#isGiven = true;
    const startMs = this.#fresh.ms + this.#reused.ms;
    const loadMs = this.#loadMs;
    if (startMs + loadMs <= this.#runMs) return;
    const fresh = this.#fresh.count;
    const options: string[] = [];
    const add = (option: string, count: number): void => {
      if (count > this.#many) options.push(option);
    };
    const mayShare = this.#context !== 'fork';
    add('jobsPerProcess', mayShare ? fresh + this.#limited : 0);
    add('chunkSize', this.#singles);
    const mayPreload = this.#context === 'forkserver' && loadMs > startMs;
    add('preload', mayPreload ? fresh : 0);
    if (options.length === 0) return;
    trace(
      '%d processes took at least %d ms to start and %d ms to import modules, ' +
        'and their jobs %d ms. What would have helped: %s',
      fresh + this.#reused.count,
      ...[startMs, loadMs, this.#runMs].map(Math.round),
      options.join(', '),
    );
  }
}
