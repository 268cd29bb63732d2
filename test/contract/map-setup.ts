import type { Jobserver, MapOptions } from '../../dist/index.js';

export type Name = 'map' | 'mapSync' | 'starmap' | 'starmapSync';
export const names: Name[] = ['map', 'mapSync', 'starmap', 'starmapSync'];
export const plain: Name[] = ['map', 'mapSync'];

type AnyIterator = AsyncGenerator<unknown> | Generator<unknown>;

/** Calls one of the four methods, without its types. */
export function start(
  js: Jobserver,
  name: Name,
  fn: unknown,
  items: unknown,
  options?: MapOptions,
): AnyIterator {
  const method = js[name] as (...args: unknown[]) => AnyIterator;
  return method.call(js, fn, items, options);
}

export async function collect(results: AnyIterator): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const value of results as AsyncGenerator<unknown>) {
    values.push(value);
  }
  return values;
}

export async function next(results: AnyIterator): Promise<unknown> {
  const { done, value } = await results.next();
  return done === true ? 'done' : value;
}

/** The values that come before an error, then the error. */
export async function collectUntilError(
  results: AnyIterator,
): Promise<unknown[]> {
  const values: unknown[] = [];
  for (;;) {
    try {
      const { done, value } = await results.next();
      if (done === true) throw new Error(`No error, but ${String(values)}`);
      values.push(value);
    } catch (error) {
      return [...values, error];
    }
  }
}

/** The numbers from 1, as an input that counts its reads. */
export function counting(stop = Infinity) {
  const input = {
    reads: 0,
    isClosed: false,
    *[Symbol.iterator]() {
      try {
        while (input.reads < stop) {
          input.reads += 1;
          yield input.reads;
        }
      } finally {
        input.isClosed = true;
      }
    },
  };
  return input;
}

export function asAsync<T>(items: Iterable<T>): AsyncIterable<T> {
  return {
    async *[Symbol.asyncIterator]() {
      for (const item of items) {
        await new Promise((resolve) => setImmediate(resolve));
        yield item;
      }
    },
  };
}
