// The input of a map: its options, and its items as chunks of argument lists.
import { types } from 'node:util';
import { checkAbortSignal } from '../system/abort.js';
import { checkArgs } from '../job/encode-call.js';
import type { Condition } from './condition.js';
import { type Deadline, deadlineAfter, never } from '../system/deadline.js';
import { invalidArgument, outOfRange } from '../errors.js';
import type { OptionNames } from '../system/options.js';

/**
 * Options of {@link Jobserver.map}, {@link Jobserver.starmap} and
 * {@link JobserverExecutor.map}.
 */
export interface MapOptions {
  /**
   * Milliseconds from the call of map to the last result; default: no limit.
   * Then the iterator throws Blocked; an executor's throws a TimeoutError.
   */
  timeout?: number | undefined;
  /**
   * Calls that one job makes, in order; default 1. If one call of a chunk
   * throws, the whole chunk fails.
   */
  chunkSize?: number | undefined;
  /**
   * The most chunks submitted ahead of the reader; default: no limit. When it
   * is given, the input is read lazily.
   */
  bufferSize?: number | undefined;
  /** Aborting ends the iteration with an AbortError, and ends its jobs. */
  signal?: AbortSignal | undefined;
}

export const mapOptions: OptionNames<MapOptions> = {
  timeout: true,
  chunkSize: true,
  bufferSize: true,
  signal: true,
};

/** The options, checked. */
export interface MapTerms {
  readonly deadline: Deadline;
  readonly chunkSize: number;
  /** Infinity: the input is read at once. */
  readonly bufferSize: number;
  readonly signal: AbortSignal | undefined;
}

/** Checks the values of options whose names are checked. */
export function checkMapOptions(options: MapOptions): MapTerms {
  return {
    deadline: deadlineAfter(options.timeout),
    signal: checkAbortSignal(options.signal),
    chunkSize: checkCount(options.chunkSize, 'chunkSize', 1),
    bufferSize: checkCount(options.bufferSize, 'bufferSize', Infinity),
  };
}

/** Checks an option that is a count; gives `fallback` if it is absent. */
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

/** The argument lists of one job. */
export type Chunk = readonly (readonly unknown[])[];
export type Chunks = Iterable<Chunk> | AsyncIterable<Chunk>;

/** Receives the chunks of the input. */
export interface ChunkSink {
  /** No further chunk is read. */
  readonly isComplete: boolean;
  /** The next chunk may be read. */
  readonly hasRoom: boolean;
  /** Notified when `isComplete` or `hasRoom` may have changed. */
  readonly changed: Condition;
  submit(chunk: Chunk): void;
  complete(): void;
  /** Reading or submitting threw. */
  fail(error: unknown): void;
}

/** Reads chunks while there is room; the results are read meanwhile. */
export async function feed(chunks: Chunks, sink: ChunkSink): Promise<void> {
  try {
    for await (const chunk of chunks) {
      if (sink.isComplete) return;
      sink.submit(chunk);
      while (!sink.isComplete && !sink.hasRoom) {
        await sink.changed.wait(never);
      }
      if (sink.isComplete) return;
    }
    sink.complete();
  } catch (error) {
    sink.fail(error);
  }
}

/** Reads chunks until there is no more room. */
export function feedSync(chunks: Iterator<Chunk>, sink: ChunkSink): void {
  try {
    while (!sink.isComplete && sink.hasRoom) {
      const next = chunks.next();
      if (next.done === true) sink.complete();
      else sink.submit(next.value);
    }
  } catch (error) {
    sink.fail(error);
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

// A Map is rejected: it iterates over pairs, which are not meant as arguments.
function isIterable(items: unknown, symbol: symbol): boolean {
  if (typeof items !== 'object' || items === null) return false;
  return symbol in items && !types.isMap(items);
}
