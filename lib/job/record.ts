// The public record of one job, which is published on the channels
// jobserver:submit, jobserver:start and jobserver:done.
import { type Channel, channel } from 'node:diagnostics_channel';
import { now } from '../system/deadline.js';
import { isUrl } from '../functions/url.js';
import type { JobUsage } from '../usage.js';

const channels = {
  submit: channel('jobserver:submit'),
  start: channel('jobserver:start'),
  done: channel('jobserver:done'),
};

let lastId = 0;

/**
 * One job, as the channels `jobserver:submit`, `jobserver:start` and
 * `jobserver:done` of `node:diagnostics_channel` publish it. All three publish
 * one object, each with more of it set. Times are those of `performance.now()`,
 * in milliseconds.
 *
 * @example
 * ```js
 * import { subscribe } from 'node:diagnostics_channel';
 *
 * subscribe('jobserver:done', ({ name, startedAt, finishedAt, outcome }) => {
 *   console.log(name, outcome, finishedAt - startedAt);
 * });
 * ```
 */
export class JobRecord {
  /** The number of the job in this process: 1, 2, 3, … */
  readonly id = ++lastId;
  /** When submit was called. */
  readonly submittedAt = now();
  /** When the process of the job was started; undefined before that. */
  startedAt: number | undefined;
  /** When the process had ended, or the wait for a slot failed. */
  finishedAt: number | undefined;
  /**
   * 'value' or 'error' when the job has a result, 'lost' when it ended without
   * one, 'unstarted' when it never ran; undefined before the end.
   */
  outcome: 'value' | 'error' | 'lost' | 'unstarted' | undefined;
  /** Whether it was ended because it ran for longer than its `runTimeout`. */
  timedOut = false;
  /** What it has used; see {@link Future.usage}. */
  usage: JobUsage | undefined;
  /** 1 when the process of the job is started first, 2 the next time, and so on. */
  attempt = 1;
  readonly #fn: unknown;
  readonly #onDone: (() => void) | undefined;
  #job: { readonly pid: number | undefined } | undefined;

  /** @internal */
  constructor(fn: unknown, onDone?: () => void) {
    this.#fn = fn;
    this.#onDone = onDone;
  }

  /** The function's name, or the 'URL#export' that was submitted. */
  get name(): string {
    return recordName(this.#fn);
  }

  /** Process id of the worker; undefined before its start. */
  get pid(): number | undefined {
    return this.#job?.pid;
  }

  /** @internal */
  submitted(): void {
    this.#publish(channels.submit);
  }

  /** @internal */
  started(job: { readonly pid: number | undefined }): void {
    this.startedAt = now();
    this.#job = job;
    this.#publish(channels.start);
  }

  /** @internal */
  startedAgain(): void {
    this.#publish(channels.start);
  }

  /** @internal */
  done(outcome: JobRecord['outcome'], job?: { readonly pid: number }): void {
    this.finishedAt = now();
    this.outcome = outcome;
    if (job !== undefined) this.#job = job;
    this.#onDone?.();
    this.#publish(channels.done);
  }

  #publish(to: Channel): void {
    if (to.hasSubscribers) to.publish(this);
  }
}

/** The `name` in the record of a job that calls `fn`. */
export function recordName(fn: unknown): string {
  if (typeof fn === 'function') return fn.name;
  return isUrl(fn) ? fn.href : String(fn);
}
