// Results of many calls in the order of their input. The input is read in
// chunks; each chunk is a job. At most `bufferSize` chunks are submitted ahead of
// the reader of the results. One of them waits for a slot, or several where
// processes run several jobs, so that no process has to wait for its next chunk.
import { onAbort } from '../system/abort.js';
import {
  type Deadline,
  never,
  pollTimeout,
  remaining,
} from '../system/deadline.js';
import { AbortError, Blocked } from '../errors.js';
import type { Future } from '../job/future.js';
import type { JobRecord } from '../job/record.js';
import type { Submission } from '../job/submission.js';
import type { Admission } from '../job/waiting-call.js';
import { Queue } from '../system/queue.js';
import { selector } from '../system/selector.js';
import {
  type Args,
  type Chunk,
  type ChunkResult,
  chunksOf,
  chunksOfSync,
  errorOf,
  runOf,
  valuesIn,
} from './chunk.js';
import { Condition } from './condition.js';
import {
  type ChunkSink,
  type MapInput,
  type MapTerms,
  feed,
  feedSync,
} from './input.js';
import { Pace, type PaceOptions } from './pace.js';

type OnAdmission = (admission: Admission, record: JobRecord) => void;

export interface MapPlan extends MapTerms, Omit<PaceOptions, 'length'> {
  /** Submits one job that makes the calls in order. */
  readonly submit: (
    calls: readonly Args[],
    onAdmission: OnAdmission,
  ) => Submission;
  /** Handles finished jobs; called when the reader stops. */
  readonly reclaim: () => void;
}

interface StartedChunk {
  readonly chunk: Chunk;
  readonly record: JobRecord;
  readonly future: Future<ChunkResult>;
}

/** A chunk from its submission until its values are read. */
interface Entry {
  submission?: Submission;
  /** Undefined while it waits for a slot. */
  start?: StartedChunk | { readonly error: unknown };
}

/** The jobs of one map, in the order of their chunks. */
class MapJobs implements ChunkSink {
  readonly #plan: MapPlan;
  readonly #pace: Pace;
  readonly #entries = new Queue<Entry>();
  readonly #waiting = new Queue<Entry>();
  readonly changed = new Condition();
  isComplete = false;

  readonly #offAbort: () => void;

  constructor(plan: MapPlan, pace: Pace) {
    this.#plan = plan;
    this.#pace = pace;
    const { signal } = plan;
    this.#offAbort = onAbort(signal, () => {
      this.fail(new AbortError(signal?.reason));
    });
  }

  get hasRoom(): boolean {
    if (this.#waiting.size >= this.#pace.mostWaiting) return false;
    return this.#entries.size < this.#plan.bufferSize;
  }

  /** All results have been read. */
  get isEmpty(): boolean {
    return this.isComplete && this.#entries.size === 0;
  }

  /** That of the oldest chunk that waits for a slot. */
  get submission(): Submission | undefined {
    return this.#waiting.first?.submission;
  }

  submit(chunk: Chunk): void {
    const entry: Entry = {};
    this.#entries.add(entry);
    try {
      entry.submission = this.#plan.submit(chunk.calls, (admission, record) => {
        this.#waiting.delete(entry);
        this.#start(entry, { ...admission, chunk, record } as Entry['start']);
      });
    } catch (error) {
      this.#start(entry, { error });
    }
    if (entry.start === undefined) this.#waiting.add(entry);
  }

  fail(error: unknown): void {
    const entry = {};
    this.#entries.add(entry);
    this.#start(entry, { error });
  }

  #start(entry: Entry, start: Entry['start']): void {
    entry.start = start!;
    if ('error' in start!) this.isComplete = true;
    else this.#measureLater(start!);
    this.changed.notify();
  }

  /** Once its job has ended, however far the reader is. */
  #measureLater({ chunk, record, future }: StartedChunk): void {
    future.whenDone(() => {
      if (record.outcome !== 'value') return;
      try {
        this.#pace.measure(runOf(chunk, future.resultSync(), record));
      } catch {
        // It was aborted, or its values cannot be decoded: the reader learns it.
        return;
      }
      this.changed.notify();
    });
  }

  /** The oldest chunk. Throws the error that prevented its start. */
  first(): StartedChunk | undefined {
    const start = this.#entries.first?.start;
    if (start !== undefined && 'error' in start) throw start.error;
    return start;
  }

  shift(): void {
    this.#entries.shift();
    this.changed.notify();
  }

  complete(): void {
    this.isComplete = true;
    this.changed.notify();
  }

  stop(): void {
    this.#offAbort();
    this.complete();
    for (let entry; (entry = this.#waiting.shift()) !== undefined;) {
      entry.submission!.fail(new AbortError('The reader of map has stopped'));
    }
    this.#plan.reclaim();
  }
}

export async function* mapAsync(
  { calls, length }: MapInput,
  plan: MapPlan,
): AsyncGenerator<unknown> {
  const pace = new Pace({ ...plan, length });
  const jobs = new MapJobs(plan, pace);
  void feed(chunksOf(calls, pace), jobs);
  const { deadline } = plan;
  try {
    while (!jobs.isEmpty) {
      const started = jobs.first();
      if (started === undefined) {
        checkTime(deadline);
        await jobs.changed.wait(deadline);
        continue;
      }
      const timeout = deadline === never ? undefined : remaining(deadline);
      const values = await valuesOf(started, { timeout });
      jobs.shift();
      yield* values;
    }
  } finally {
    jobs.stop();
  }
}

async function valuesOf(
  { chunk, record, future }: StartedChunk,
  options: { timeout: number | undefined },
): Promise<unknown[]> {
  try {
    return valuesIn(await future.result(options));
  } catch (error) {
    throw errorOf(error, chunk, record);
  }
}

function valuesOfSync({ chunk, record, future }: StartedChunk): unknown[] {
  try {
    return valuesIn(future.resultSync());
  } catch (error) {
    throw errorOf(error, chunk, record);
  }
}

export function* mapSync(
  { calls, length }: MapInput<Iterable<Args>>,
  plan: MapPlan,
): Generator<unknown> {
  const pace = new Pace({ ...plan, length });
  const jobs = new MapJobs(plan, pace);
  const chunks = chunksOfSync(calls, pace);
  try {
    for (;;) {
      feedSync(chunks, jobs);
      // A chunk may wait for the event loop, which does not run.
      selector.flush();
      if (jobs.isEmpty) return;
      const started = jobs.first();
      if (started?.future.done() === true) {
        const values = valuesOfSync(started);
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
    chunks.return(undefined);
  }
}

function checkTime(deadline: Deadline): void {
  if (remaining(deadline) > 0) return;
  throw new Blocked('No result of map within the time given');
}
