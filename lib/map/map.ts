// Results of many calls in the order of their input. The input is read in
// chunks; each chunk is a job. Chunks are submitted one at a time, and at most
// `bufferSize` of them ahead of the reader of the results.
import { onAbort } from '../system/abort.js';
import {
  type Deadline,
  never,
  pollTimeout,
  remaining,
} from '../system/deadline.js';
import { AbortError, Blocked } from '../errors.js';
import type { Future } from '../job/future.js';
import type { Admission } from '../job/waiting-call.js';
import type { Submission } from '../job/submission.js';
import { Queue } from '../system/queue.js';
import { selector } from '../system/selector.js';
import { Condition } from './condition.js';
import {
  type Chunk,
  type ChunkSink,
  type Chunks,
  type MapTerms,
  feed,
  feedSync,
} from './input.js';

export interface MapPlan extends MapTerms {
  /** Submits one job that makes the calls of the chunk in order. */
  readonly submit: (
    chunk: Chunk,
    onAdmission: (admission: Admission) => void,
  ) => Submission;
  /** Handles finished jobs; called when the reader stops. */
  readonly reclaim: () => void;
}

/** The jobs of one map, in the order of their chunks. */
class MapJobs implements ChunkSink {
  readonly #plan: MapPlan;
  readonly #started = new Queue<Admission>();
  readonly changed = new Condition();
  /** The chunk that waits for a slot. */
  submission: Submission | undefined;
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
    return this.submission === undefined && this.#started.size < bufferSize;
  }

  /** All results have been read. */
  get isEmpty(): boolean {
    const isIdle = this.isComplete && this.submission === undefined;
    return isIdle && this.#started.size === 0;
  }

  submit(chunk: Chunk): void {
    let isSettled = false;
    const submission = this.#plan.submit(chunk, (admission) => {
      isSettled = true;
      this.submission = undefined;
      this.#push(admission);
    });
    if (!isSettled) this.submission = submission;
  }

  fail(error: unknown): void {
    this.#push({ error });
  }

  #push(admission: Admission): void {
    this.#started.add(admission);
    if ('error' in admission) this.isComplete = true;
    this.changed.notify();
  }

  /** The job of the oldest chunk. Throws the error that prevented its start. */
  first(): Future<unknown[]> | undefined {
    const { first } = this.#started;
    if (first === undefined) return undefined;
    if ('future' in first) return first.future as Future<unknown[]>;
    throw first.error;
  }

  shift(): void {
    this.#started.shift();
    this.changed.notify();
  }

  complete(): void {
    this.isComplete = true;
    this.changed.notify();
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
  const jobs = new MapJobs(plan);
  void feed(chunks, jobs);
  try {
    while (!jobs.isEmpty) {
      const future = jobs.first();
      if (future === undefined) {
        checkTime(plan.deadline);
        await jobs.changed.wait(plan.deadline);
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
  const jobs = new MapJobs(plan);
  const input = chunks[Symbol.iterator]();
  try {
    for (;;) {
      feedSync(input, jobs);
      // A chunk may wait for the event loop, which does not run.
      selector.flush();
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
      submission?.borrow();
      if (submission !== jobs.submission) continue;
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
