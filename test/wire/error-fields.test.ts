import { Blocked } from '../../dist/errors.js';
import { thrown } from '../helpers/thrown.js';
import { type Loose, facts, rethrow, roundTrip } from './round-trip.js';

describe('a decoded error', () => {
  test('has the stack of the original, which is not enumerable', () => {
    function failingFunction(): never {
      throw new Error('deep down');
    }
    const arrived = rethrow(thrown(failingFunction));
    expect(arrived.stack).toContain('failingFunction');
    expect(arrived.stack).toContain(__filename);
    expect(Object.keys(arrived)).toEqual([]);
  });

  test('may be anywhere in a value, and stays one object', () => {
    const error = new TypeError('anywhere', { cause: 1 });
    const arrived = roundTrip({
      map: new Map<unknown, unknown>([[error, error]]),
      set: new Set([error]),
      own: Object.assign(new Error('outer'), { inner: [error] }),
      list: [error],
    });
    const [inner] = arrived.list;
    expect(inner).toBeInstanceOf(TypeError);
    expect([...arrived.map.entries()]).toEqual([[inner, inner]]);
    expect(arrived.map.get(inner)).toBe(inner);
    expect(arrived.set.has(inner)).toBe(true);
    expect(arrived.own.inner[0]).toBe(inner);
  });

  test('has the whole chain of causes', () => {
    let error: Error = new SyntaxError('0');
    for (let i = 1; i < 100; i += 1)
      error = new Error(`${i}`, { cause: error });
    let arrived = rethrow(error);
    for (let i = 99; i > 0; i -= 1) {
      expect(arrived.message).toBe(`${i}`);
      expect(Object.keys(arrived)).toEqual([]);
      arrived = arrived.cause;
    }
    expect(arrived).toBeInstanceOf(SyntaxError);
    expect('cause' in arrived).toBe(false);
  });

  test('may have a chain of 10,000 causes', () => {
    let error: Error = new Error('0');
    for (let i = 1; i <= 10_000; i += 1)
      error = new Error('', { cause: error });
    let arrived = rethrow(error);
    for (let i = 0; i < 10_000; i += 1) arrived = arrived.cause;
    expect(arrived.message).toBe('0');
  });

  test.each(
    [undefined, null, 0, 'text', { a: [1] }, [new Date(0)], 10n].map((it) => [
      it,
    ]),
  )('may have a cause that is not an error: %p', (cause) => {
    const arrived = rethrow(new Error('m', { cause }));
    expect(Object.hasOwn(arrived, 'cause')).toBe(true);
    expect(arrived.cause).toEqual(cause);
  });

  test('may refer to an error that refers to it', () => {
    const a: Loose = new Error('a');
    const b: Loose = new Error('b', { cause: a });
    a.cause = b;
    a.self = a;
    a.box = { b };
    const arrived = rethrow(a);
    expect(arrived.cause.cause).toBe(arrived);
    expect(arrived.self).toBe(arrived);
    expect(arrived.box.b).toBe(arrived.cause);
  });

  test('has the errors of an AggregateError', () => {
    const inner = new RangeError('inner');
    const arrived = rethrow(new AggregateError([inner, 42, 'x'], 'all'));
    expect(arrived).toBeInstanceOf(AggregateError);
    expect(Object.keys(arrived)).toEqual([]);
    expect(arrived.errors[0]).toBeInstanceOf(RangeError);
    expect(arrived.errors.slice(1)).toEqual([42, 'x']);
  });

  test('has a text in `errors` for an item that cannot be sent', () => {
    const rejected = [new TypeError('kept'), (): void => {}, { f(): void {} }];
    const arrived = rethrow(new AggregateError(rejected));
    expect(arrived.errors[0]).toBeInstanceOf(TypeError);
    expect(arrived.errors[1]).toContain('[Function');
    expect(arrived.errors[2]).toContain('f: ');
  });

  test('lacks only those properties that cannot be sent', () => {
    const socket = { write(): void {} };
    const error = Object.assign(new Error('kept', { cause: () => 1 }), {
      socket,
      deep: { in: [socket] },
      promise: Promise.resolve(),
      symbol: Symbol('s'),
      nested: Object.assign(new Error('nested'), { socket, ok: 2 }),
      ok: { yes: true },
    });
    Object.defineProperty(error, 'throws', {
      enumerable: true,
      get() {
        throw new Error('no');
      },
    });
    for (const arrived of [roundTrip([error])[0], rethrow(error)]) {
      expect(arrived.message).toBe('kept');
      expect(arrived.stack).toBe(error.stack);
      expect(Object.keys(arrived).sort()).toEqual(['nested', 'ok']);
      expect(Object.hasOwn(arrived, 'cause')).toBe(false);
      expect(arrived.ok).toEqual({ yes: true });
      expect(Object.keys(arrived.nested)).toEqual(['ok']);
    }
  });

  test('stays the same when it is sent on', () => {
    class Custom extends TypeError {
      override name = 'Custom';
      extra = { list: [1] };
    }
    const first = roundTrip(new Custom('m', { cause: new Blocked() }));
    let hop = first;
    for (let i = 0; i < 5; i += 1) hop = rethrow(hop);
    expect(facts(hop)).toEqual(facts(first));
    expect(facts(hop.cause)).toEqual(facts(first.cause));
    expect(hop.extra).toEqual({ list: [1] });
  });

  test('stays the same when it is sent on with an inherited name', () => {
    class Custom extends Error {}
    Custom.prototype.name = 'Inherited';
    const first = roundTrip(new Custom('m'));
    expect(first.name).toBe('Inherited');
    expect(Object.keys(first)).toEqual([]);
    expect(facts(rethrow(first))).toEqual(facts(first));
  });

  test('has no cause and no stack if the original has none', () => {
    const error = new Error('bare');
    delete error.stack;
    const arrived = rethrow(error);
    expect(Object.hasOwn(arrived, 'cause')).toBe(false);
    expect(arrived.stack).toBeUndefined();
  });

  test('leaves Error.stackTraceLimit unchanged', () => {
    const limit = Error.stackTraceLimit;
    roundTrip(new Error('m'));
    expect(Error.stackTraceLimit).toBe(limit);
    expect(new Error('here').stack).toContain(__filename);
  });

  test('has name and message for a stack that is not a string', () => {
    const prepare = Error.prepareStackTrace;
    Error.prepareStackTrace = (_, sites) => sites;
    try {
      const error = new Error('m');
      expect(rethrow(error).stack).toBe('Error: m');
    } finally {
      Error.prepareStackTrace = prepare!;
    }
  });
});
