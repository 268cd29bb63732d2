// Results of many calls in the order of their input, where the calls go through
// the queue of an executor. At most `bufferSize` chunks are queued ahead of the
// reader of the results.
import { onAbort } from '../system/abort.js';
import { type Deadline, never, onDeadline } from '../system/deadline.js';
import { AbortError } from '../errors.js';
import { Condition } from '../map/condition.js';
import {
  type Chunk,
  type ChunkSink,
  type Chunks,
  type MapTerms,
  feed,
} from '../map/input.js';
import { Queue } from '../system/queue.js';
import type { ExecutorFuture } from './queued-call.js';

interface QueuedChunk {
  readonly values: Promise<unknown>;
  cancel(): void;
}

/** The chunks of one map, in the order of the input. */
class MapCalls implements ChunkSink {
  readonly #submit: (chunk: Chunk) => ExecutorFuture<unknown>;
  readonly #bufferSize: number;
  readonly queued = new Queue<QueuedChunk>();
  readonly changed = new Condition();
  isComplete = false;

  constructor(
    submit: (chunk: Chunk) => ExecutorFuture<unknown>,
    bufferSize: number,
  ) {
    this.#submit = submit;
    this.#bufferSize = bufferSize;
  }

  get hasRoom(): boolean {
    return this.queued.size < this.#bufferSize;
  }

  submit(chunk: Chunk): void {
    const call = this.#submit(chunk);
    this.#push(call, () => call.cancel());
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

  #push(values: Promise<unknown>, cancel: () => void): void {
    // A reader that stops early handles no rejection of the rest.
    void values.catch(() => undefined);
    this.queued.add({ values, cancel });
    this.changed.notify();
  }
}

export async function* mapCalls(
  chunks: Chunks,
  submit: (chunk: Chunk) => ExecutorFuture<unknown>,
  { bufferSize, deadline, signal }: MapTerms,
): AsyncGenerator<unknown> {
  const calls = new MapCalls(submit, bufferSize);
  const offAbort = onAbort(signal, () => {
    calls.fail(new AbortError(signal?.reason));
  });
  void feed(chunks, calls);
  try {
    for (;;) {
      const { first } = calls.queued;
      if (first !== undefined) {
        const values = await inTime(first.values, deadline);
        calls.shift();
        yield* values as unknown[];
      } else if (calls.isComplete) {
        return;
      } else {
        await inTime(calls.changed.wait(never), deadline);
      }
    }
  } finally {
    offAbort();
    calls.complete();
    for (let rest; (rest = calls.shift()) !== undefined;) rest.cancel();
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
