// What the reader of a map gets for a chunk: the values of its calls or, where the
// map settles each item, what became of the items.
import type { JobRecord } from '../job/record.js';
import {
  type Args,
  type Chunk,
  type ChunkResult,
  errorOf,
  valuesIn,
} from './chunk.js';

/**
 * What became of an item of a {@link Jobserver.map} with `settled`. Of `starmap`, the
 * item is the list of arguments.
 */
export type SettledItem<T, R> =
  | {
      /** The call has returned. */
      readonly status: 'fulfilled';
      /** What the call has returned. */
      readonly value: R;
      /** That of the input. */
      readonly item: T;
      /** Of the item in the input, from 0. */
      readonly index: number;
    }
  | {
      /** The call has thrown, or its job was lost, or something cannot be sent. */
      readonly status: 'rejected';
      /** What the call has thrown, or the error that says why there is no value. */
      readonly reason: unknown;
      /** That of the input. */
      readonly item: T;
      /** Of the item in the input, from 0. */
      readonly index: number;
    };

/**
 * What a {@link Jobserver.map} yields: values or, with `settled`, a
 * {@link SettledItem} for each item.
 */
export type MapResult<T, R, S extends boolean> = S extends true
  ? SettledItem<T, R>
  : R;

export interface ReadingTerms {
  readonly isSettled: boolean;
  readonly signal: AbortSignal | undefined;
}

export class Reading {
  readonly #terms: ReadingTerms;
  readonly #itemOf: (args: Args) => unknown;

  constructor(terms: ReadingTerms, itemOf: (args: Args) => unknown) {
    this.#terms = terms;
    this.#itemOf = itemOf;
  }

  /** For a chunk whose job has returned. */
  ofResult(chunk: Chunk, result: ChunkResult): unknown[] {
    const values = valuesIn(result);
    if (!this.#terms.isSettled) return values;
    return (values as PromiseSettledResult<unknown>[]).map((outcome, i) => {
      const item = this.#itemOf(chunk.calls[i]!);
      const index = chunk.first + i;
      const { status } = outcome;
      return status === 'fulfilled'
        ? { status, value: outcome.value, item, index }
        : { status, reason: outcome.reason as unknown, item, index };
    });
  }

  /** For a chunk without a result. Throws what ends the map. */
  ofError(
    chunk: Chunk,
    error: unknown,
    record: JobRecord | undefined,
  ): unknown[] {
    const reason = errorOf(error, chunk, record);
    if (!this.goesOnAfter(error, record)) throw reason;
    return chunk.calls.map((args, i) => {
      const index = chunk.first + i;
      return { status: 'rejected', reason, item: this.#itemOf(args), index };
    });
  }

  /** Whether the map goes on after this error of a chunk. */
  goesOnAfter(error: unknown, record: JobRecord | undefined): boolean {
    return this.#terms.isSettled && this.isOfJob(error, record);
  }

  /** Whether the error is that of one job, and not of the map. */
  isOfJob(error: unknown, record: JobRecord | undefined): boolean {
    if (this.#terms.signal?.aborted === true) return false;
    const outcome = record?.outcome;
    if (outcome !== undefined && outcome !== 'unstarted') return true;
    // Its arguments cannot be sent; those of other chunks can.
    const { code } = (error ?? {}) as { code?: unknown };
    return code === 'ERR_JOBSERVER_NOT_SERIALIZABLE';
  }
}
