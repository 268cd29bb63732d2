// Results of many calls in the order of their input: as the input is read,
// chunks of it are submitted, one at a time and at most `bufferSize` of them
// ahead of the reader; each is a job.
import { onAbort } from './abort.js';
import {
  type Deadline,
  at,
  never,
  pollTimeout,
  remaining,
} from './deadline.js';
import { AbortError, Blocked, invalidArgument, outOfRange } from './errors.js';
import type { Future } from './future.js';
import { selector } from './selector.js';
import type { Settled, Submission } from './submission.js';

/** Starts one job that makes these calls, in order. */
export type SubmitChunk = (
  argses: unknown[][],
  onSettled: (settled: Settled) => void,
) => Submission;

export interface MapPlan {
  readonly submit: SubmitChunk;
  readonly deadline: Deadline;
  readonly bufferSize: number;
  readonly signal: AbortSignal | undefined;
  /** Looks at finished jobs once; called when the reader stops. */
  readonly reclaim: () => void;
}

/** Checks an option that counts; absent: `fallback`. */
export function checkCount(
  value: unknown,
  name: string,
  fallback: number,
): number {
  if (value === undefined || value === null) return fallback;
  if (typeof value !== 'number') {
    throw invalidArgument(name, 'a positive integer', value);
  }
  if (!Number.isSafeInteger(value) || value < 1) {
    throw outOfRange(name, 'a positive integer', value);
  }
  return value;
}

export function* chunksOf<T>(items: Iterable<T>, size: number): Generator<T[]> {
  let chunk: T[] = [];
  for (const item of items) {
    chunk.push(item);
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

export async function* chunksOfAsync<T>(
  items: AsyncIterable<T>,
  size: number,
): AsyncGenerator<T[]> {
  let chunk: T[] = [];
  for await (const item of items) {
    chunk.push(item);
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

type Chunks = Iterable<unknown[][]> | AsyncIterable<unknown[][]>;

/** The jobs of one map, in the order of their chunks. */
class Jobs {
  readonly #plan: MapPlan;
  readonly #ahead: Settled[] = [];
  #waiting: (() => void)[] = [];
  submission: Submission | undefined;
  /** No chunk follows, or none is wanted. */
  isComplete = false;

  readonly #offAbort: () => void;

  constructor(plan: MapPlan) {
    this.#plan = plan;
    const { signal } = plan;
    this.#offAbort = onAbort(signal, () => {
      this.push({ error: new AbortError(signal?.reason) });
    });
  }

  /** True when the next chunk may be read. */
  get hasRoom(): boolean {
    const { bufferSize } = this.#plan;
    return this.submission === undefined && this.#ahead.length < bufferSize;
  }

  /** Everything has been handed over. */
  get isEmpty(): boolean {
    const isIdle = this.isComplete && this.submission === undefined;
    return isIdle && this.#ahead.length === 0;
  }

  submit(chunk: unknown[][]): void {
    let isSettled = false;
    const submission = this.#plan.submit(chunk, (settled) => {
      isSettled = true;
      this.submission = undefined;
      this.push(settled);
    });
    if (!isSettled) this.submission = submission;
  }

  push(settled: Settled): void {
    this.#ahead.push(settled);
    if ('error' in settled) this.isComplete = true;
    this.#tell();
  }

  /** The job of the oldest chunk; throws what kept it from starting. */
  first(): Future<unknown[]> | undefined {
    const [settled] = this.#ahead;
    if (settled === undefined) return undefined;
    if ('future' in settled) return settled.future as Future<unknown[]>;
    throw settled.error;
  }

  shift(): void {
    this.#ahead.shift();
    this.#tell();
  }

  complete(): void {
    this.isComplete = true;
    this.#tell();
  }

  stop(): void {
    this.#offAbort();
    this.complete();
    this.submission?.fail(new AbortError('The reader of map has stopped'));
    this.#plan.reclaim();
  }

  /** Resolves at the next change, or when the time is up. */
  changed(deadline: Deadline): Promise<void> {
    return new Promise((resolve) => {
      const timer = at(deadline, resolve);
      this.#waiting.push(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  #tell(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

export async function* mapAsync(
  chunks: Chunks,
  plan: MapPlan,
): AsyncGenerator<unknown> {
  const jobs = new Jobs(plan);
  void fill(chunks, jobs);
  try {
    while (!jobs.isEmpty) {
      const future = jobs.first();
      if (future === undefined) {
        checkTime(plan.deadline);
        await jobs.changed(plan.deadline);
        continue;
      }
      const { deadline } = plan;
      const timeout = deadline === never ? undefined : remaining(deadline);
      const values = await future.result({ timeout });
      jobs.shift();
      yield* values;
    }
  } finally {
    jobs.stop();
  }
}

/** Submits while the reader is busy, or waits. */
async function fill(chunks: Chunks, jobs: Jobs): Promise<void> {
  try {
    for await (const chunk of chunks) {
      if (jobs.isComplete) return;
      jobs.submit(chunk);
      while (!jobs.isComplete && !jobs.hasRoom) await jobs.changed(never);
      if (jobs.isComplete) return;
    }
    jobs.complete();
  } catch (error) {
    // The input itself has failed, at this place of the order.
    jobs.push({ error });
  }
}

export function* mapSync(
  chunks: Iterable<unknown[][]>,
  plan: MapPlan,
): Generator<unknown> {
  const jobs = new Jobs(plan);
  const input = chunks[Symbol.iterator]();
  try {
    for (;;) {
      fillSync(input, jobs);
      if (jobs.isEmpty) return;
      const future = jobs.first();
      if (future?.done() === true) {
        const values = future.resultSync();
        jobs.shift();
        yield* values;
        continue;
      }
      checkTime(plan.deadline);
      const { submission } = jobs;
      const dueAt = Math.min(plan.deadline, submission?.dueAt ?? never);
      selector.turn(pollTimeout(dueAt));
      submission?.onTime();
    }
  } finally {
    jobs.stop();
    input.return?.();
  }
}

function fillSync(input: Iterator<unknown[][]>, jobs: Jobs): void {
  try {
    while (!jobs.isComplete && jobs.hasRoom) {
      const next = input.next();
      if (next.done === true) jobs.complete();
      else jobs.submit(next.value);
    }
  } catch (error) {
    jobs.push({ error });
  }
}

function checkTime(deadline: Deadline): void {
  if (remaining(deadline) > 0) return;
  throw new Blocked('No result of map within the time given');
}
