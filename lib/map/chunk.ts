// A chunk: calls for consecutive items of a map, which one job makes. Its job
// returns the values of the calls and, as the last element, how long they took.
import { LostResult } from '../errors.js';
import type { JobRecord } from '../job/record.js';
import type { ChunkRun, Pace } from './pace.js';

/** The arguments of one call. */
export type Args = readonly unknown[];

export interface Chunk {
  /** The index of its first item in the input. */
  readonly first: number;
  readonly calls: readonly Args[];
}

/** What the job of a chunk returns. */
export type ChunkResult = readonly [...values: unknown[], callsMs: number];

export function valuesIn(result: ChunkResult): unknown[] {
  return result.slice(0, -1);
}

/** What the job of a chunk shows about the pace, once it has ended. */
export function runOf(
  { calls }: Chunk,
  result: ChunkResult,
  { startedAt, finishedAt }: JobRecord,
): ChunkRun {
  const callsMs = result.at(-1) as number;
  const totalMs = finishedAt! - startedAt!;
  return { items: calls.length, callsMs, totalMs };
}

/** The error of a chunk. It names the items if the chunk was lost. */
export function errorOf(
  error: unknown,
  { first, calls }: Chunk,
  record: JobRecord | undefined,
): unknown {
  // Otherwise a call threw the LostResult of a job of its own.
  const isLost = record?.outcome === 'lost' && error instanceof LostResult;
  if (!isLost) return error;
  const items = { first, last: first + calls.length - 1 };
  const cause = 'cause' in error ? { cause: error.cause } : {};
  return new LostResult(error, { ...cause, items });
}

/** Puts calls together. */
class Chunker {
  readonly #pace: Pace;
  #first = 0;
  #calls: Args[] = [];

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /** The chunk that this call completes. */
  add(args: Args): Chunk | undefined {
    this.#calls.push(args);
    return this.#calls.length < this.#pace.size ? undefined : this.take();
  }

  /** Undefined when there are no calls. */
  take(): Chunk | undefined {
    const calls = this.#calls;
    if (calls.length === 0) return undefined;
    const chunk = { first: this.#first, calls };
    this.#first += calls.length;
    this.#calls = [];
    this.#pace.take(calls.length);
    return chunk;
  }
}

export function* chunksOfSync(
  calls: Iterable<Args>,
  pace: Pace,
): Generator<Chunk> {
  const chunker = new Chunker(pace);
  for (const args of calls) {
    const chunk = chunker.add(args);
    if (chunk !== undefined) yield chunk;
  }
  const rest = chunker.take();
  if (rest !== undefined) yield rest;
}

export async function* chunksOf(
  calls: Iterable<Args> | AsyncIterable<Args>,
  pace: Pace,
): AsyncGenerator<Chunk> {
  const chunker = new Chunker(pace);
  for await (const args of calls) {
    const chunk = chunker.add(args);
    if (chunk !== undefined) yield chunk;
  }
  const rest = chunker.take();
  if (rest !== undefined) yield rest;
}
