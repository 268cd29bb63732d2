// What the tests of the wire format share: values that are encoded and decoded
// within this process.
import { inspect } from 'node:util';
import { decode, encode, encodeThrown } from '../../dist/wire/value.js';

/** What was decoded: tests look into it without types. */
export type Loose = ReturnType<typeof JSON.parse>;

export function roundTrip(value: unknown): Loose {
  return decode(encode(value, 'value'));
}

/** What a parent receives when a job throws a value. */
export function rethrow(thrown: unknown): Loose {
  return decode(encodeThrown(thrown));
}

/** The error of a value that cannot be encoded. */
export function refusal(
  value: unknown,
  send?: (handle: object) => unknown,
): Loose {
  try {
    encode(value, 'args', send);
  } catch (error) {
    return error;
  }
  throw new Error(`Was encoded: ${inspect(value)}`);
}

/** All that tests compare of an error, and whether it is enumerable. */
export function facts(error: Error): unknown {
  const own = Object.entries(Object.getOwnPropertyDescriptors(error));
  return {
    prototype: Object.getPrototypeOf(error) === error.constructor.prototype,
    name: error.name,
    message: error.message,
    stack: error.stack,
    own: own
      .filter(([, { value }]) => value === null || typeof value !== 'object')
      .map(([key, { enumerable }]) => [key, enumerable, (error as Loose)[key]])
      .sort(),
  };
}
