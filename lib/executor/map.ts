// Results of many calls in the order of their input, where the calls go through
// the queue of an executor. At most `bufferSize` chunks are queued ahead of the
// reader of the results. Where the run times of chunks decide on the sizes of the
// next ones, one chunk at a time is pending, or one for each slot where processes
// run several jobs.
import { onAbort } from '../system/abort.js';
import { type Deadline, never, onDeadline } from '../system/deadline.js';
import { AbortError } from '../errors.js';
import {
  type Args,
  type Chunk,
  type ChunkResult,
  chunksOf,
  errorOf,
  runOf,
  valuesIn,
} from '../map/chunk.js';
import { Condition } from '../map/condition.js';
import {
  type ChunkSink,
  type MapInput,
  type MapTerms,
  feed,
} from '../map/input.js';
import { Pace, type PaceOptions } from '../map/pace.js';
import { Queue } from '../system/queue.js';
import type { QueuedCall } from './queued-call.js';

export interface QueuedMapPlan extends MapTerms, Omit<PaceOptions, 'length'> {
  readonly submit: (calls: readonly Args[]) => QueuedCall;
}

interface QueuedChunk {
  readonly values: Promise<unknown[]>;
  cancel(): void;
}

/** The chunks of one map, in the order of the input. */
class MapCalls implements ChunkSink {
  readonly #plan: QueuedMapPlan;
  readonly #pace: Pace;
  readonly queued = new Queue<QueuedChunk>();
  readonly changed = new Condition();
  #pending = 0;
  isComplete = false;

  constructor(plan: QueuedMapPlan, pace: Pace) {
    this.#plan = plan;
    this.#pace = pace;
  }

  get hasRoom(): boolean {
    const { bufferSize, chunkSize } = this.#plan;
    const isFull = this.#pending >= this.#pace.mostWaiting;
    if (chunkSize === 'auto' && isFull) return false;
    return this.queued.size < bufferSize;
  }

  submit(chunk: Chunk): void {
    const call = this.#plan.submit(chunk.calls);
    this.#pending += 1;
    call.onStart = () => {
      this.#pending -= 1;
      this.changed.notify();
    };
    this.#push(this.#valuesOf(chunk, call), () => call.promise.cancel());
  }

  complete(): void {
    this.isComplete = true;
    this.changed.notify();
  }

  fail(error: unknown): void {
    this.#push(Promise.reject(error), () => undefined);
    this.complete();
  }

  shift(): QueuedChunk | undefined {
    const oldest = this.queued.shift();
    this.changed.notify();
    return oldest;
  }

  #push(values: Promise<unknown[]>, cancel: () => void): void {
    // A reader that stops early handles no rejection of the rest.
    void values.catch(() => undefined);
    this.queued.add({ values, cancel });
    this.changed.notify();
  }

  async #valuesOf(chunk: Chunk, call: QueuedCall): Promise<unknown[]> {
    let result: ChunkResult;
    try {
      result = (await call.promise) as ChunkResult;
    } catch (error) {
      throw errorOf(error, chunk, call.record);
    }
    this.#pace.measure(runOf(chunk, result, call.record!));
    return valuesIn(result);
  }
}

export async function* mapCalls(
  { calls, length }: MapInput,
  plan: QueuedMapPlan,
): AsyncGenerator<unknown> {
  const { deadline, signal } = plan;
  const pace = new Pace({ ...plan, length });
  const chunks = new MapCalls(plan, pace);
  const offAbort = onAbort(signal, () => {
    chunks.fail(new AbortError(signal?.reason));
  });
  void feed(chunksOf(calls, pace), chunks);
  try {
    for (;;) {
      const { first } = chunks.queued;
      if (first !== undefined) {
        const values = await inTime(first.values, deadline);
        chunks.shift();
        yield* values;
      } else if (chunks.isComplete) {
        return;
      } else {
        await inTime(chunks.changed.wait(never), deadline);
      }
    }
  } finally {
    offAbort();
    chunks.complete();
    for (let rest; (rest = chunks.shift()) !== undefined;) rest.cancel();
  }
}

/** Rejects when the deadline passes first. */
function inTime<T>(promise: Promise<T>, deadline: Deadline): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = onDeadline(deadline, () => {
      const message = 'No result of map within the time given';
      reject(new DOMException(message, 'TimeoutError'));
    });
    promise.then(resolve, reject).finally(() => {
      timer.cancel();
    });
  });
}
