// The input of a map: its options, its items as argument lists, and who reads them
// in chunks.
import { types } from 'node:util';
import { checkAbortSignal } from '../system/abort.js';
import { checkArgs } from '../job/encode-call.js';
import type { Args, Chunk } from './chunk.js';
import type { Condition } from './condition.js';
import { type Deadline, deadlineAfter, never } from '../system/deadline.js';
import { invalidArgument, outOfRange } from '../errors.js';
import { type Consume, checkConsume } from '../job/waiting-call.js';
import type { Mapping } from '../protocol/order.js';
import { type OptionNames, checkBoolean } from '../system/options.js';

/**
 * Options of {@link Jobserver.map}, {@link Jobserver.starmap} and
 * {@link JobserverExecutor.map}.
 */
export interface MapOptions<S extends boolean = false> {
  /**
   * Milliseconds from the call of map to the last result; default: no limit.
   * Then the iterator throws Blocked; an executor's throws a TimeoutError.
   */
  timeout?: number | undefined;
  /**
   * Calls that one job makes, in order; default 1. If one call of a chunk
   * throws, the whole chunk fails. 'auto': one call at first, then as many as it
   * takes for jobs to spend less than 5 % of their time on starting and ending;
   * near the end of the input, jobs make fewer.
   */
  chunkSize?: number | 'auto' | undefined;
  /**
   * The most chunks submitted ahead of the reader; default: no limit. When it
   * is given, the input is read lazily.
   */
  bufferSize?: number | undefined;
  /** Aborting ends the iteration with an AbortError, and ends its jobs. */
  signal?: AbortSignal | undefined;
  /**
   * Default true: results come in the order of the items. false: those of each
   * job come as soon as it ends, so that none waits for a slower one.
   */
  ordered?: boolean | undefined;
  /**
   * Default false: the first error ends the iteration. true: the iterator yields a
   * {@link SettledItem} for each item, and goes on after a call that throws and
   * after a job that is lost.
   */
  settled?: S | undefined;
  /**
   * As in {@link SubmitOptions.consume}. With 0, only `bufferSize` limits how many
   * jobs run at once.
   */
  consume?: 0 | 1 | 'own' | undefined;
}

export const mapOptions: OptionNames<MapOptions> = {
  timeout: true,
  chunkSize: true,
  bufferSize: true,
  signal: true,
  ordered: true,
  settled: true,
  consume: true,
};

/** The options, checked. */
export interface MapTerms {
  readonly deadline: Deadline;
  readonly chunkSize: number | 'auto';
  /** Infinity: the input is read at once. */
  readonly bufferSize: number;
  readonly signal: AbortSignal | undefined;
  readonly isOrdered: boolean;
  readonly isSettled: boolean;
  readonly mapping: Mapping;
  readonly consume: Consume;
}

/** Checks the values of options whose names are checked. */
export function checkMapOptions(options: MapOptions<boolean>): MapTerms {
  const { ordered = true, settled = false } = options;
  return {
    deadline: deadlineAfter(options.timeout),
    signal: checkAbortSignal(options.signal),
    chunkSize: checkChunkSize(options.chunkSize),
    bufferSize: checkCount(options.bufferSize, 'bufferSize', Infinity),
    isOrdered: checkBoolean(ordered, 'ordered'),
    isSettled: checkBoolean(settled, 'settled'),
    mapping: settled ? 'outcomes' : 'values',
    consume: checkConsume(options.consume),
  };
}

function checkChunkSize(value: unknown): number | 'auto' {
  if (value === 'auto') return value;
  return checkCount(value, 'chunkSize', 1, "a positive integer or 'auto'");
}

/** Checks an option that is a count; gives `fallback` if it is absent. */
function checkCount(
  value: unknown,
  name: string,
  fallback: number,
  expected = 'a positive integer',
): number {
  if (value === undefined || value === null) return fallback;
  if (typeof value !== 'number') throw invalidArgument(name, expected, value);
  if (!Number.isSafeInteger(value) || value < 1) {
    throw outOfRange(name, expected, value);
  }
  return value;
}

/** How an item becomes the arguments of a call. */
export type ArgsOf = (item: unknown, index: number) => unknown[];

export const only: ArgsOf = (item) => [item];
export const spread: ArgsOf = (item, index) =>
  checkArgs(item, `argses[${index}]`);

/** The items of a map as argument lists. */
export interface MapInput<Calls = Iterable<Args> | AsyncIterable<Args>> {
  readonly calls: Calls;
  /** How many there are, if that is known. */
  readonly length: number | undefined;
  /** The item that became these arguments. */
  readonly itemOf: (args: Args) => unknown;
}

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
export async function feed(
  chunks: AsyncIterable<Chunk>,
  sink: ChunkSink,
): Promise<void> {
  try {
    for await (const chunk of chunks) {
      // While it was read, others may have taken the room.
      while (isFull(sink)) await sink.changed.wait(never);
      if (sink.isComplete) return;
      sink.submit(chunk);
      while (isFull(sink)) await sink.changed.wait(never);
      if (sink.isComplete) return;
    }
    sink.complete();
  } catch (error) {
    sink.fail(error);
  }
}

function isFull(sink: ChunkSink): boolean {
  return !sink.isComplete && !sink.hasRoom;
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

export function inputOf(
  items: unknown,
  argsOf: ArgsOf,
  terms: MapTerms,
): MapInput {
  if (!isIterable(items, Symbol.asyncIterator)) {
    return inputOfSync(items, argsOf, terms);
  }
  const calls = asyncCalls(items as AsyncIterable<unknown>, argsOf);
  return { calls, length: undefined, itemOf: itemOf(argsOf) };
}

export function inputOfSync(
  items: unknown,
  argsOf: ArgsOf,
  { bufferSize }: MapTerms,
): MapInput<Iterable<Args>> {
  if (!isIterable(items, Symbol.iterator)) {
    throw invalidArgument('items', 'an iterable, and no string or Map', items);
  }
  const calls = syncCalls(items as Iterable<unknown>, argsOf);
  if (bufferSize < Infinity) {
    const length = lengthOf(items as object);
    return { calls, length, itemOf: itemOf(argsOf) };
  }
  const all = [...calls];
  return { calls: all, length: all.length, itemOf: itemOf(argsOf) };
}

function itemOf(argsOf: ArgsOf): MapInput['itemOf'] {
  return argsOf === only ? ([item]) => item : (args) => args;
}

function* syncCalls(items: Iterable<unknown>, argsOf: ArgsOf): Generator<Args> {
  let index = 0;
  for (const item of items) yield argsOf(item, index++);
}

async function* asyncCalls(
  items: AsyncIterable<unknown>,
  argsOf: ArgsOf,
): AsyncGenerator<Args> {
  let index = 0;
  for await (const item of items) yield argsOf(item, index++);
}

/** The length of an array or the size of a Set; undefined for a generator. */
function lengthOf(items: object): number | undefined {
  const { length, size } = items as Record<'length' | 'size', unknown>;
  return [length, size].find((it) => typeof it === 'number' && it >= 0) as
    number | undefined;
}

// A Map is rejected: it iterates over pairs, which are not meant as arguments.
function isIterable(items: unknown, symbol: symbol): boolean {
  if (typeof items !== 'object' || items === null) return false;
  return symbol in items && !types.isMap(items);
}
