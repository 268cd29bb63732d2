// Results of many calls in the order of their input, or as they complete. The input
// is read in chunks; each chunk is a job. At most `bufferSize` chunks are submitted
// ahead of the reader of the results. One of them waits for a slot, or several where
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
  runOf,
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
import { Reading } from './reading.js';

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
  readonly record: JobRecord;
  readonly future: Future<ChunkResult>;
}

/** A chunk from its submission until its values are read. */
interface Entry {
  /** Undefined for an error that belongs to no chunk. */
  readonly chunk: Chunk | undefined;
  submission?: Submission;
  /** Undefined while it waits for a slot. */
  start?: StartedChunk | { readonly error: unknown };
}

/** The jobs of one map, in the order of their chunks. */
class MapJobs implements ChunkSink {
  readonly #plan: MapPlan;
  readonly #pace: Pace;
  readonly #reading: Reading;
  readonly #entries = new Queue<Entry>();
  readonly #waiting = new Queue<Entry>();
  /** Those whose jobs have ended; undefined where the order of the input counts. */
  readonly #ended: Queue<Entry> | undefined;
  readonly changed = new Condition();
  isComplete = false;

  readonly #offAbort: () => void;

  constructor(plan: MapPlan, pace: Pace, itemOf: MapInput['itemOf']) {
    this.#plan = plan;
    this.#pace = pace;
    this.#reading = new Reading(plan, itemOf);
    this.#ended = plan.isOrdered ? undefined : new Queue();
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
    const entry: Entry = { chunk };
    this.#entries.add(entry);
    try {
      entry.submission = this.#plan.submit(chunk.calls, (admission, record) => {
        this.#waiting.delete(entry);
        if ('error' in admission) this.#refuse(entry, admission.error);
        else this.#start(entry, admission.future as Future<never>, record);
      });
    } catch (error) {
      this.#refuse(entry, error);
    }
    if (entry.start === undefined) this.#waiting.add(entry);
  }

  fail(error: unknown): void {
    const entry = { chunk: undefined, start: { error } };
    this.#entries.add(entry);
    this.complete();
  }

  #refuse(entry: Entry, error: unknown): void {
    entry.start = { error };
    if (!this.#reading.goesOnAfter(error, undefined)) this.isComplete = true;
    // Others come after the values of the jobs that run.
    if (this.#reading.isOfJob(error, undefined)) this.#ended?.add(entry);
    this.changed.notify();
  }

  #start(
    entry: Entry,
    future: StartedChunk['future'],
    record: JobRecord,
  ): void {
    entry.start = { record, future };
    future.whenDone(() => {
      this.#onDone(entry, future, record);
    });
    this.changed.notify();
  }

  /** Its job has ended, however far the reader is. */
  #onDone(
    entry: Entry,
    future: StartedChunk['future'],
    record: JobRecord,
  ): void {
    this.#ended?.add(entry);
    if (record.outcome === 'value') {
      try {
        this.#pace.measure(runOf(entry.chunk!, future.resultSync(), record));
      } catch {
        // It was aborted, or its values cannot be decoded: the reader learns it.
      }
    }
    this.changed.notify();
  }

  /** What the reader gets next, if that has started or failed. */
  get next(): Entry | undefined {
    const { first } = this.#entries;
    if (this.#ended === undefined) return first?.start && first;
    const ended = this.#ended.first;
    if (ended !== undefined) return ended;
    return first?.start && 'error' in first.start ? first : undefined;
  }

  /** Whether its values can be read without waiting. */
  isDone({ start }: Entry): boolean {
    return 'error' in start! || start!.future.done();
  }

  async valuesOf(entry: Entry): Promise<unknown[]> {
    const { deadline } = this.#plan;
    const timeout = deadline === never ? undefined : remaining(deadline);
    const { chunk, start } = entry;
    if ('error' in start!) return this.#refused(chunk, start.error);
    try {
      const result = await start!.future.result({ timeout });
      return this.#reading.ofResult(chunk!, result);
    } catch (error) {
      return this.#reading.ofError(chunk!, error, start!.record);
    }
  }

  valuesOfSync({ chunk, start }: Entry): unknown[] {
    if ('error' in start!) return this.#refused(chunk, start.error);
    try {
      return this.#reading.ofResult(chunk!, start!.future.resultSync());
    } catch (error) {
      return this.#reading.ofError(chunk!, error, start!.record);
    }
  }

  #refused(chunk: Chunk | undefined, error: unknown): unknown[] {
    if (chunk === undefined) throw error;
    return this.#reading.ofError(chunk, error, undefined);
  }

  /** Its values have been read. */
  delete(entry: Entry): void {
    this.#entries.delete(entry);
    this.#ended?.delete(entry);
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
  { calls, length, itemOf }: MapInput,
  plan: MapPlan,
): AsyncGenerator<unknown> {
  const pace = new Pace({ ...plan, length });
  const jobs = new MapJobs(plan, pace, itemOf);
  void feed(chunksOf(calls, pace), jobs);
  const { deadline } = plan;
  try {
    while (!jobs.isEmpty) {
      const entry = jobs.next;
      if (entry === undefined) {
        checkTime(deadline);
        await jobs.changed.wait(deadline);
        continue;
      }
      const values = await jobs.valuesOf(entry);
      jobs.delete(entry);
      yield* values;
    }
  } finally {
    jobs.stop();
  }
}

export function* mapSync(
  { calls, length, itemOf }: MapInput<Iterable<Args>>,
  plan: MapPlan,
): Generator<unknown> {
  const pace = new Pace({ ...plan, length });
  const jobs = new MapJobs(plan, pace, itemOf);
  const chunks = chunksOfSync(calls, pace);
  try {
    for (;;) {
      feedSync(chunks, jobs);
      // A chunk may wait for the event loop, which does not run.
      selector.flush();
      if (jobs.isEmpty) return;
      const entry = jobs.next;
      if (entry !== undefined && jobs.isDone(entry)) {
        const values = jobs.valuesOfSync(entry);
        jobs.delete(entry);
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
