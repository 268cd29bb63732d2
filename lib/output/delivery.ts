// Hands the output of a job to a listener, one piece at a time. While a promise of
// the listener is pending, the pipes are not read, so that the job waits as well. A
// call that blocks the thread does not wait for the promise, which could not settle
// meanwhile.
import { Link, List } from '../system/list.js';
import { selector } from '../system/selector.js';
import type { Listener, StreamName } from './plan.js';

interface Piece {
  readonly data: Buffer | string;
  readonly stream: StreamName;
}

/** Who is notified. */
interface DeliveryEvents {
  /** The listener can take more, or has to wait. */
  readonly onPause: (isPaused: boolean) => void;
  readonly onError: (error: unknown) => void;
}

export class Delivery {
  readonly #listener: Listener;
  readonly #events: DeliveryEvents;
  readonly #pieces = new List<Piece>();
  #isScheduled = false;
  #isCalling = false;
  /** The promise that is awaited; undefined: none. */
  #awaited: object | undefined;
  #hasFailed = false;
  #isHurried = false;
  #onDone: (() => void) | undefined;

  constructor(listener: Listener, events: DeliveryEvents) {
    this.#listener = listener;
    this.#events = events;
  }

  get isPaused(): boolean {
    return this.#awaited !== undefined;
  }

  add(data: Buffer | string, stream: StreamName): void {
    if (this.#hasFailed) return;
    this.#pieces.add(new Link({ data, stream }));
    this.#schedule();
  }

  /** Waits for no promise of the listener from now on. */
  hurry(): void {
    this.#isHurried = true;
    this.#rush();
  }

  /** Calls back, at once or later, when the listener has had everything. */
  whenDone(callback: () => void): void {
    this.#onDone = callback;
    this.#finish();
  }

  // A listener is code of the user, which runs after all handlers of a turn.
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    selector.later(() => {
      this.#isScheduled = false;
      this.#run();
    });
  }

  #run(): void {
    if (this.#isCalling) return;
    while (this.#awaited === undefined && this.#pieces.size > 0) {
      this.#call(this.#pieces.shift()!);
    }
    this.#finish();
  }

  #call({ data, stream }: Piece): void {
    this.#isCalling = true;
    try {
      const listener = this.#listener;
      const result = listener(data, stream);
      if (isThenable(result)) this.#await(result);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isCalling = false;
    }
  }

  #await(promise: PromiseLike<unknown>): void {
    const goOn = (): void => {
      if (this.#awaited === promise) this.#goOn();
    };
    promise.then(goOn, (error: unknown) => {
      this.#fail(error);
      goOn();
    });
    if (this.#isHurried) return;
    this.#awaited = promise;
    this.#events.onPause(true);
    selector.beforeBlocking(this.#rush);
  }

  /** The thread is about to be blocked. */
  readonly #rush = (): void => {
    if (this.#isCalling) return;
    while (this.#awaited !== undefined) this.#resume();
  };

  #goOn(): void {
    this.#resume();
    selector.flush();
  }

  #resume(): void {
    this.#awaited = undefined;
    selector.notBeforeBlocking(this.#rush);
    this.#events.onPause(false);
    this.#run();
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#pieces.clear();
    this.#events.onError(error);
  }

  #finish(): void {
    const isDone =
      this.#awaited === undefined &&
      !this.#isCalling &&
      this.#pieces.size === 0;
    if (!isDone) return;
    const callback = this.#onDone;
    this.#onDone = undefined;
    callback?.();
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}
