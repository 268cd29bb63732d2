// Results of many calls in the order of their input: as the input is read,
// chunks of it are submitted, one at a time and at most `bufferSize` of them
// ahead of the reader; each is a job.
import { onAbort } from '../system/abort.js';
import { Changes } from './condition.js';
import {
  type Deadline,
  never,
  pollTimeout,
  remaining,
} from '../system/deadline.js';
import { AbortError, Blocked } from '../errors.js';
import type { Future } from '../job/future.js';
import {
  type Chunk,
  type Chunks,
  type MapTerms,
  type Taker,
  feed,
  feedSync,
} from './input.js';
import { Queue } from '../system/queue.js';
import { selector } from '../system/selector.js';
import type { Settled, Submission } from '../job/submission.js';

export interface MapPlan extends MapTerms {
  /** Starts one job that makes these calls, in order. */
  readonly submit: (
    chunk: Chunk,
    onSettled: (settled: Settled) => void,
  ) => Submission;
  /** Looks at finished jobs once; called when the reader stops. */
  readonly reclaim: () => void;
}

/** The jobs of one map, in the order of their chunks. */
class Jobs implements Taker {
  readonly #plan: MapPlan;
  readonly #ahead = new Queue<Settled>();
  readonly changes = new Changes();
  submission: Submission | undefined;
  /** No chunk follows, or none is wanted. */
  isComplete = false;

  readonly #offAbort: () => void;

  constructor(plan: MapPlan) {
    this.#plan = plan;
    const { signal } = plan;
    this.#offAbort = onAbort(signal, () => {
      this.fail(new AbortError(signal?.reason));
    });
  }

  get hasRoom(): boolean {
    const { bufferSize } = this.#plan;
    return this.submission === undefined && this.#ahead.size < bufferSize;
  }

  /** Everything has been handed over. */
  get isEmpty(): boolean {
    const isIdle = this.isComplete && this.submission === undefined;
    return isIdle && this.#ahead.size === 0;
  }

  submit(chunk: Chunk): void {
    let isSettled = false;
    const submission = this.#plan.submit(chunk, (settled) => {
      isSettled = true;
      this.submission = undefined;
      this.#push(settled);
    });
    if (!isSettled) this.submission = submission;
  }

  fail(error: unknown): void {
    this.#push({ error });
  }

  #push(settled: Settled): void {
    this.#ahead.add(settled);
    if ('error' in settled) this.isComplete = true;
    this.changes.tell();
  }

  /** The job of the oldest chunk; throws what kept it from starting. */
  first(): Future<unknown[]> | undefined {
    const { first: settled } = this.#ahead;
    if (settled === undefined) return undefined;
    if ('future' in settled) return settled.future as Future<unknown[]>;
    throw settled.error;
  }

  shift(): void {
    this.#ahead.shift();
    this.changes.tell();
  }

  complete(): void {
    this.isComplete = true;
    this.changes.tell();
  }

  stop(): void {
    this.#offAbort();
    this.complete();
    this.submission?.fail(new AbortError('The reader of map has stopped'));
    this.#plan.reclaim();
  }
}

export async function* mapAsync(
  chunks: Chunks,
  plan: MapPlan,
): AsyncGenerator<unknown> {
  const jobs = new Jobs(plan);
  void feed(chunks, jobs);
  try {
    while (!jobs.isEmpty) {
      const future = jobs.first();
      if (future === undefined) {
        checkTime(plan.deadline);
        await jobs.changes.next(plan.deadline);
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

export function* mapSync(
  chunks: Iterable<Chunk>,
  plan: MapPlan,
): Generator<unknown> {
  const jobs = new Jobs(plan);
  const input = chunks[Symbol.iterator]();
  try {
    for (;;) {
      feedSync(input, jobs);
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

function checkTime(deadline: Deadline): void {
  if (remaining(deadline) > 0) return;
  throw new Blocked('No result of map within the time given');
}
