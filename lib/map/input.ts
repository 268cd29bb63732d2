// What a map is given: its options, and its items in chunks of argument lists.
import { checkAbortSignal } from '../system/abort.js';
import { checkArgs } from '../job/controls.js';
import type { Changes } from './condition.js';
import { type Deadline, deadlineAfter, never } from '../system/deadline.js';
import { checkOptions, invalidArgument, outOfRange } from '../errors.js';

/** For all jobs of one map. */
export interface MapOptions {
  /**
   * Milliseconds from the call of map to the last result, then Blocked; with an
   * executor a TimeoutError.
   */
  timeout?: number | undefined;
  /** Calls made by one job, in order; default 1. When one fails, all do. */
  chunkSize?: number | undefined;
  /** Most jobs outstanding; when given, the input is read lazily. */
  bufferSize?: number | undefined;
  /** Aborting ends the iteration with an AbortError, and its jobs. */
  signal?: AbortSignal | undefined;
}

/** The options, checked. */
export interface MapTerms {
  readonly deadline: Deadline;
  readonly chunkSize: number;
  /** Infinity: the input is read at once. */
  readonly bufferSize: number;
  readonly signal: AbortSignal | undefined;
}

export function checkMapOptions(options: MapOptions): MapTerms {
  checkOptions(options);
  return {
    deadline: deadlineAfter(options.timeout),
    signal: checkAbortSignal(options.signal),
    chunkSize: checkCount(options.chunkSize, 'chunkSize', 1),
    bufferSize: checkCount(options.bufferSize, 'bufferSize', Infinity),
  };
}

/** Checks an option that counts; absent: `fallback`. */
function checkCount(value: unknown, name: string, fallback: number): number {
  if (value === undefined || value === null) return fallback;
  if (typeof value !== 'number') {
    throw invalidArgument(name, 'a positive integer', value);
  }
  if (!Number.isSafeInteger(value) || value < 1) {
    throw outOfRange(name, 'a positive integer', value);
  }
  return value;
}

/** How an item becomes the arguments of a call. */
export type ArgsOf = (item: unknown, index: number) => unknown[];

export const only: ArgsOf = (item) => [item];
export const spread: ArgsOf = (item, index) =>
  checkArgs(item, `argses[${index}]`);

/** Argument lists, as many as one job gets. */
export type Chunk = readonly (readonly unknown[])[];
export type Chunks = Iterable<Chunk> | AsyncIterable<Chunk>;

/** What the chunks are read for. */
export interface Taker {
  /** No chunk is wanted any more. */
  readonly isComplete: boolean;
  /** The next chunk may be read. */
  readonly hasRoom: boolean;
  /** Tells when one of the two may have changed. */
  readonly changes: Changes;
  submit(chunk: Chunk): void;
  complete(): void;
  fail(error: unknown): void;
}

/** Reads while there is room: beside a reader of the results that is busy, or waits. */
export async function feed(chunks: Chunks, taker: Taker): Promise<void> {
  try {
    for await (const chunk of chunks) {
      if (taker.isComplete) return;
      taker.submit(chunk);
      while (!taker.isComplete && !taker.hasRoom) {
        await taker.changes.next(never);
      }
      if (taker.isComplete) return;
    }
    taker.complete();
  } catch (error) {
    // The input itself has failed, at this place of the order.
    taker.fail(error);
  }
}

/** The same in one go, as far as there is room. */
export function feedSync(chunks: Iterator<Chunk>, taker: Taker): void {
  try {
    while (!taker.isComplete && taker.hasRoom) {
      const next = chunks.next();
      if (next.done === true) taker.complete();
      else taker.submit(next.value);
    }
  } catch (error) {
    taker.fail(error);
  }
}

export function chunksOf(
  items: unknown,
  argsOf: ArgsOf,
  terms: MapTerms,
): Chunks {
  if (!isIterable(items, Symbol.asyncIterator)) {
    return chunksOfSync(items, argsOf, terms);
  }
  return asyncChunks(items as AsyncIterable<unknown>, argsOf, terms.chunkSize);
}

export function chunksOfSync(
  items: unknown,
  argsOf: ArgsOf,
  { chunkSize, bufferSize }: MapTerms,
): Iterable<Chunk> {
  if (!isIterable(items, Symbol.iterator)) {
    throw invalidArgument('items', 'an iterable, and no string or Map', items);
  }
  const chunks = syncChunks(items as Iterable<unknown>, argsOf, chunkSize);
  return bufferSize === Infinity ? [...chunks] : chunks;
}

function* syncChunks(
  items: Iterable<unknown>,
  argsOf: ArgsOf,
  size: number,
): Generator<Chunk> {
  let index = 0;
  let chunk: unknown[][] = [];
  for (const item of items) {
    chunk.push(argsOf(item, index++));
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

async function* asyncChunks(
  items: AsyncIterable<unknown>,
  argsOf: ArgsOf,
  size: number,
): AsyncGenerator<Chunk> {
  let index = 0;
  let chunk: unknown[][] = [];
  for await (const item of items) {
    chunk.push(argsOf(item, index++));
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

// A Map iterates over pairs, which nobody means as arguments.
function isIterable(items: unknown, by: symbol): boolean {
  if (typeof items !== 'object' || items === null) return false;
  return by in items && !(items instanceof Map);
}
