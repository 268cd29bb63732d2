// What callbacks of the futures of one pool threw and no caller has received.
// Each error is reported once: to a waiting submit, to the next call on the
// pool, or as a warning when the pool closes.
import { setImmediate } from 'node:timers';
import type { CallbackRaised } from '../errors.js';
import { Queue } from '../system/queue.js';
import { type Future, type FutureOwner, futureControl } from './future.js';

/** A waiting call that can fail with the error of a callback. */
interface Recipient {
  fail(error: unknown): void;
}

export class CallbackErrors implements FutureOwner {
  /** The futures that hold an error. */
  readonly #raised = new Queue<Future<unknown>>();
  /** Futures whose error was received, but whose other callbacks must run. */
  readonly #stalled = new Set<Future<unknown>>();
  readonly #findRecipient: () => Recipient | undefined;

  /** `findRecipient` returns the oldest. */
  constructor(findRecipient: () => Recipient | undefined) {
    this.#findRecipient = findRecipient;
  }

  keepRaised(future: Future<unknown>): void {
    const first = this.#findRecipient();
    if (first === undefined) this.#raised.add(future);
    else first.fail(futureControl.takeRaised(future));
  }

  forgetRaised(future: Future<unknown>): void {
    this.#raised.delete(future);
  }

  keepStalled(future: Future<unknown>): void {
    this.#stalled.add(future);
    setImmediate(() => {
      this.#resume(future);
    });
  }

  /** Throws the oldest error, if there is one. */
  throwFirst(): void {
    const error = this.#takeFirst();
    if (error !== undefined) throw error;
  }

  /** Runs all callbacks; throws the first error, emits the rest as warnings. */
  report(): void {
    const first = this.#takeFirst();
    for (let next; (next = this.#takeFirst()) !== undefined;) {
      process.emitWarning(`${next.message}: ${String(next.cause)}`, {
        type: 'JobserverWarning',
        code: next.code,
      });
    }
    if (first !== undefined) throw first;
  }

  #takeFirst(): CallbackRaised | undefined {
    if (this.#raised.size === 0) {
      for (const future of this.#stalled) this.#resume(future);
    }
    const { first } = this.#raised;
    return first && futureControl.takeRaised(first);
  }

  #resume(future: Future<unknown>): void {
    if (this.#stalled.delete(future)) futureControl.deliver(future);
  }
}
