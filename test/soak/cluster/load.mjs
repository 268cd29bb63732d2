// Calls at random through one executor, and what may become of each.
import assert from 'node:assert/strict';
import { LostResult } from 'jobserver';
import { bigOf, valueOf, work } from './jobs.mjs';

const kinds = [
  ...['value', 'value', 'value', 'slow', 'big'],
  ...['throw', 'exit', 'kill'],
];
const mostMs = 400;
// Longer than a submitter can be silent.
const mostSlowMs = 5000;

export class Load {
  /** How often each outcome was seen. */
  outcomes = {};
  /** The hosts, where known, that lost a call that did not end its own process. */
  lostBy = [];
  #executor;
  #random;
  #starts;
  #name;
  #kinds;
  #ids = 0;
  #open = new Set();
  #failures = [];

  /**
   * @param starts the file to which each start of a job adds a line.
   * @param nests whether some jobs have jobs of their own.
   */
  constructor({ executor, random, starts, name, nests }) {
    this.#executor = executor;
    this.#random = random;
    this.#starts = starts;
    this.#name = name;
    this.#kinds = nests ? [...kinds, 'nested', 'nested'] : kinds;
  }

  /** The calls that have not ended, for a message. */
  state() {
    return [...this.#open]
      .map(({ call, promise }) => `${call.kind} ${call.id} ${promise.state}`)
      .join('\n');
  }

  /** Keeps `width` calls outstanding until `isOver`. */
  async run(width, isOver) {
    while (!isOver()) {
      while (this.#open.size < width) this.#submit();
      await Promise.race(this.#ends);
    }
  }

  /** Resolves when all calls have ended. Throws what was wrong with one. */
  async end() {
    await Promise.all(this.#ends);
    if (this.#failures.length > 0) throw this.#failures[0];
  }

  get #ends() {
    return [...this.#open].map(({ end }) => end);
  }

  #submit() {
    const call = this.#call(this.#random.pick(this.#kinds));
    const isAborted = this.#random.chance(0.1);
    const controller = new AbortController();
    const args = call.kind === 'big' ? [bigOf(call)] : [];
    const promise = this.#executor.submitWith(
      { signal: controller.signal, priority: this.#random.below(3) },
      work,
      call,
      this.#starts,
      ...args,
    );
    if (isAborted) {
      setTimeout(() => controller.abort(), this.#random.below(mostMs));
    }
    const entry = { call, promise };
    entry.end = this.#settle(entry, isAborted);
    this.#open.add(entry);
  }

  #call(kind) {
    const id = `${this.#name}.${++this.#ids}`;
    const ms = this.#random.below(kind === 'slow' ? mostSlowMs : mostMs);
    if (kind !== 'nested') return { id, kind, ms };
    const parts = ['a', 'b', 'c'].map((part) => {
      return { id: `${id}.${part}`, kind: 'value', ms: ms / 4 };
    });
    return { id, kind, ms: 0, parts };
  }

  async #settle(entry, isAborted) {
    const { call, promise } = entry;
    let settled = 0;
    try {
      const value = await promise.finally(() => (settled += 1));
      assert.deepEqual(value, valueOf(call));
      this.#count(call.kind);
    } catch (error) {
      this.#judge(error, call, isAborted);
    }
    assert.equal(settled, 1);
    this.#open.delete(entry);
  }

  #judge(error, call, isAborted) {
    if (error instanceof LostResult) {
      this.#count('lost');
      const endsItself = ['exit', 'kill'].includes(call.kind);
      const { host } = error;
      if (!endsItself && host !== undefined) this.lostBy.push(host);
    } else if (isAborted && error.name === 'AbortError') {
      this.#count('aborted');
    } else if (
      call.kind === 'throw' &&
      error instanceof RangeError &&
      error.message === call.id
    ) {
      this.#count('thrown');
    } else {
      const text = `${JSON.stringify(call)} ended with ${error.stack}`;
      this.#failures.push(new Error(text, { cause: error }));
    }
  }

  #count(outcome) {
    this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1;
  }
}
