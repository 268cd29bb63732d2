// Results of many calls in the order of their input, all of them in the queue
// of an executor: as the input is read, at most `bufferSize` ahead of the
// reader.
import { onAbort } from './abort.js';
import { Changes } from './changes.js';
import { type Deadline, at, never } from './deadline.js';
import { AbortError } from './errors.js';
import type { Chunk, Chunks, MapTerms } from './map-input.js';
import { Queue } from './queue.js';
import type { ExecutorFuture } from './work.js';

interface Ahead {
  readonly values: Promise<unknown>;
  cancel(): void;
}

export async function* mapWork(
  chunks: Chunks,
  submit: (chunk: Chunk) => ExecutorFuture<unknown>,
  { bufferSize, deadline, signal }: MapTerms,
): AsyncGenerator<unknown> {
  const ahead = new Queue<Ahead>();
  const changes = new Changes();
  let isComplete = false;

  const push = (values: Promise<unknown>, cancel: () => void): void => {
    // A reader that stops does not hear of it.
    void values.catch(() => undefined);
    ahead.add({ values, cancel });
    changes.tell();
  };
  const fail = (error: unknown): void => {
    push(Promise.reject(error), () => undefined);
    complete();
  };
  const complete = (): void => {
    isComplete = true;
    changes.tell();
  };
  const fill = async (): Promise<void> => {
    try {
      for await (const chunk of chunks) {
        if (isComplete) return;
        const work = submit(chunk);
        push(work, () => work.cancel());
        while (!isComplete && ahead.size >= bufferSize) {
          await changes.next(never);
        }
        if (isComplete) return;
      }
      complete();
    } catch (error) {
      // The input itself has failed, at this place of the order.
      fail(error);
    }
  };
  const offAbort = onAbort(signal, () => {
    fail(new AbortError(signal?.reason));
  });

  void fill();
  try {
    for (;;) {
      const { first } = ahead;
      if (first !== undefined) {
        const values = await inTime(first.values, deadline);
        ahead.shift();
        changes.tell();
        yield* values as unknown[];
      } else if (isComplete) {
        return;
      } else {
        await inTime(changes.next(never), deadline);
      }
    }
  } finally {
    offAbort();
    complete();
    for (let work; (work = ahead.shift()) !== undefined;) work.cancel();
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
