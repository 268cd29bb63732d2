// Results of many calls in the order of their input, all of them in the queue
// of an executor: as the input is read, at most `bufferSize` ahead of the
// reader.
import { onAbort } from '../system/abort.js';
import { Changes } from '../map/condition.js';
import { type Deadline, at, never } from '../system/deadline.js';
import { AbortError } from '../errors.js';
import {
  type Chunk,
  type Chunks,
  type MapTerms,
  type Taker,
  feed,
} from '../map/input.js';
import { Queue } from '../system/queue.js';
import type { ExecutorFuture } from './queued-call.js';

interface Ahead {
  readonly values: Promise<unknown>;
  cancel(): void;
}

/** The work of one map, in the order of its chunks. */
class Line implements Taker {
  readonly #submit: (chunk: Chunk) => ExecutorFuture<unknown>;
  readonly #bufferSize: number;
  readonly ahead = new Queue<Ahead>();
  readonly changes = new Changes();
  isComplete = false;

  constructor(
    submit: (chunk: Chunk) => ExecutorFuture<unknown>,
    bufferSize: number,
  ) {
    this.#submit = submit;
    this.#bufferSize = bufferSize;
  }

  get hasRoom(): boolean {
    return this.ahead.size < this.#bufferSize;
  }

  submit(chunk: Chunk): void {
    const work = this.#submit(chunk);
    this.#push(work, () => work.cancel());
  }

  complete(): void {
    this.isComplete = true;
    this.changes.tell();
  }

  fail(error: unknown): void {
    this.#push(Promise.reject(error), () => undefined);
    this.complete();
  }

  shift(): Ahead | undefined {
    const oldest = this.ahead.shift();
    this.changes.tell();
    return oldest;
  }

  #push(values: Promise<unknown>, cancel: () => void): void {
    // A reader that stops does not hear of it.
    void values.catch(() => undefined);
    this.ahead.add({ values, cancel });
    this.changes.tell();
  }
}

export async function* mapWork(
  chunks: Chunks,
  submit: (chunk: Chunk) => ExecutorFuture<unknown>,
  { bufferSize, deadline, signal }: MapTerms,
): AsyncGenerator<unknown> {
  const line = new Line(submit, bufferSize);
  const offAbort = onAbort(signal, () => {
    line.fail(new AbortError(signal?.reason));
  });
  void feed(chunks, line);
  try {
    for (;;) {
      const { first } = line.ahead;
      if (first !== undefined) {
        const values = await inTime(first.values, deadline);
        line.shift();
        yield* values as unknown[];
      } else if (line.isComplete) {
        return;
      } else {
        await inTime(line.changes.next(never), deadline);
      }
    }
  } finally {
    offAbort();
    line.complete();
    for (let work; (work = line.shift()) !== undefined;) work.cancel();
  }
}

/** Rejects when the time is up first. */
function inTime<T>(promise: Promise<T>, deadline: Deadline): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = at(deadline, () => {
      const message = 'No result of map within the time given';
      reject(new DOMException(message, 'TimeoutError'));
    });
    promise.then(resolve, reject).finally(() => {
      timer.cancel();
    });
  });
}
