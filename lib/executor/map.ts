// Results of many calls in the order of their input, or as they complete, where the
// calls go through the queue of an executor. At most `bufferSize` chunks are queued
// ahead of the reader of the results. Where the run times of chunks decide on the
// sizes of the next ones, one chunk at a time is pending, or one for each slot where
// processes run several jobs.
import { onAbort } from '../system/abort.js';
import { never } from '../system/deadline.js';
import { AbortError } from '../errors.js';
import {
  type Args,
  type Chunk,
  type ChunkResult,
  chunksOf,
  runOf,
} from '../map/chunk.js';
import { Condition } from '../map/condition.js';
import {
  type ChunkSink,
  type MapInput,
  type MapTerms,
  feed,
} from '../map/input.js';
import { Pace, type PaceOptions } from '../map/pace.js';
import { Reading } from '../map/reading.js';
import { Queue } from '../system/queue.js';
import { inTime } from './in-time.js';
import type { QueuedCall } from './queued-call.js';

export interface QueuedMapPlan extends MapTerms, Omit<PaceOptions, 'length'> {
  readonly submit: (calls: readonly Args[]) => MapCall;
  /** In the queue of the executor. */
  readonly room: {
    readonly isFree: () => boolean;
    readonly wait: () => Promise<void>;
  };
}

/** What a map needs of a call in a queue. */
export type MapCall = Pick<QueuedCall, 'promise' | 'record' | 'onStart'>;

interface QueuedChunk {
  readonly values: Promise<unknown[]>;
  cancel(): void;
  /** Its values come after those of all other chunks: it is no job. */
  isLast: boolean;
}

/** The chunks of one map, in the order of the input. */
class MapCalls implements ChunkSink {
  readonly #plan: QueuedMapPlan;
  readonly #pace: Pace;
  readonly #reading: Reading;
  readonly #queued = new Queue<QueuedChunk>();
  /** Those whose calls have ended; undefined where the order of the input counts. */
  readonly #ended: Queue<QueuedChunk> | undefined;
  readonly changed = new Condition();
  #pending = 0;
  #awaitsRoom = false;
  isComplete = false;

  constructor(plan: QueuedMapPlan, pace: Pace, itemOf: MapInput['itemOf']) {
    this.#plan = plan;
    this.#pace = pace;
    this.#reading = new Reading(plan, itemOf);
    this.#ended = plan.isOrdered ? undefined : new Queue();
  }

  get hasRoom(): boolean {
    const { bufferSize, chunkSize } = this.#plan;
    const isFull = this.#pending >= this.#pace.mostWaiting;
    if (chunkSize === 'auto' && isFull) return false;
    return this.#queued.size < bufferSize && this.#hasRoomInQueue();
  }

  #hasRoomInQueue(): boolean {
    const { room } = this.#plan;
    if (room.isFree()) return true;
    if (this.#awaitsRoom) return false;
    this.#awaitsRoom = true;
    void room.wait().then(() => {
      this.#awaitsRoom = false;
      this.changed.notify();
    });
    return false;
  }

  submit(chunk: Chunk): void {
    const call = this.#plan.submit(chunk.calls);
    this.#pending += 1;
    call.onStart = () => {
      this.#pending -= 1;
      this.changed.notify();
    };
    const cancel = (): void => void call.promise.cancel();
    const queued: QueuedChunk = {
      values: this.#valuesOf(chunk, call, () => (queued.isLast = true)),
      cancel,
      isLast: false,
    };
    this.#push(queued);
  }

  complete(): void {
    this.isComplete = true;
    this.changed.notify();
  }

  fail(error: unknown): void {
    const values = Promise.reject<unknown[]>(error);
    this.#push({ values, cancel: () => undefined, isLast: true });
    this.complete();
  }

  /** What the reader gets next; in the order of the input, it may still run. */
  get next(): QueuedChunk | undefined {
    const { first } = this.#queued;
    if (this.#ended === undefined) return first;
    return this.#ended.first ?? (first?.isLast === true ? first : undefined);
  }

  /** Its values have been read. */
  delete(chunk: QueuedChunk): void {
    this.#queued.delete(chunk);
    this.#ended?.delete(chunk);
    this.changed.notify();
  }

  /** All results have been read. */
  get isEmpty(): boolean {
    return this.isComplete && this.#queued.size === 0;
  }

  stop(): void {
    this.complete();
    for (let rest; (rest = this.#queued.shift()) !== undefined;) rest.cancel();
  }

  #push(chunk: QueuedChunk): void {
    this.#queued.add(chunk);
    const onEnd = (): void => {
      if (this.#ended === undefined) return;
      if (!chunk.isLast) this.#ended.add(chunk);
      this.changed.notify();
    };
    // A reader that stops early handles no rejection of the rest.
    chunk.values.then(onEnd, onEnd);
    this.changed.notify();
  }

  /** Calls `onLast` before it rejects with an error that is of no job. */
  async #valuesOf(
    chunk: Chunk,
    call: MapCall,
    onLast: () => void,
  ): Promise<unknown[]> {
    let result: ChunkResult;
    try {
      result = (await call.promise) as ChunkResult;
    } catch (error) {
      if (!this.#reading.isOfJob(error, call.record)) onLast();
      return this.#reading.ofError(chunk, error, call.record);
    }
    this.#pace.measure(runOf(chunk, result, call.record!));
    return this.#reading.ofResult(chunk, result);
  }
}

export async function* mapCalls(
  { calls, length, itemOf }: MapInput,
  plan: QueuedMapPlan,
): AsyncGenerator<unknown> {
  const { deadline, signal } = plan;
  const pace = new Pace({ ...plan, length });
  const chunks = new MapCalls(plan, pace, itemOf);
  const offAbort = onAbort(signal, () => {
    chunks.fail(new AbortError(signal?.reason));
  });
  void feed(chunksOf(calls, pace), chunks);
  try {
    while (!chunks.isEmpty) {
      const { next } = chunks;
      if (next === undefined) {
        await inTime(chunks.changed.wait(never), deadline, late);
        continue;
      }
      const values = await inTime(next.values, deadline, late);
      chunks.delete(next);
      yield* values;
    }
  } finally {
    offAbort();
    chunks.stop();
  }
}

function late(): Error {
  return new DOMException(
    'No result of map within the time given',
    'TimeoutError',
  );
}
