import * as fs from 'node:fs';
import { types } from 'node:util';
import {
  AbortError,
  Blocked,
  CallbackRaised,
  LostResult,
} from '../../dist/errors.js';
import { decode, encode, encodeThrown } from '../../dist/wire/value.js';

// What arrives is looked into without types.
type Loose = ReturnType<typeof JSON.parse>;

const roundTrip = (value: unknown): Loose => decode(encode(value, 'value'));
const rethrow = (thrown: unknown): Loose => decode(encodeThrown(thrown));

function caught(act: () => unknown): Loose {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('Nothing was thrown');
}

/** Everything that is compared of an error, and how it is enumerable. */
function facts(error: Error): unknown {
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

const lost = { pid: 7, exitCode: null, signal: 'SIGKILL' } as const;

describe('classes', () => {
  test.each<[string, Error]>([
    ['Error', new Error('m')],
    ['EvalError', new EvalError('m')],
    ['RangeError', new RangeError('m')],
    ['ReferenceError', new ReferenceError('m')],
    ['SyntaxError', new SyntaxError('m')],
    ['TypeError', new TypeError('m')],
    ['URIError', new URIError('m')],
    ['AggregateError', new AggregateError([], 'm')],
    ['Blocked', new Blocked('m')],
    ['LostResult', new LostResult(lost)],
    ['CallbackRaised', new CallbackRaised(3)],
    ['AbortError', new AbortError('why')],
  ])('R11, FUT-12: a %s comes back as one', (_, error) => {
    for (const arrived of [
      roundTrip(error),
      roundTrip([{ error }])[0].error,
      rethrow(error),
    ]) {
      expect(Object.getPrototypeOf(arrived)).toBe(Object.getPrototypeOf(error));
      expect(types.isNativeError(arrived)).toBe(true);
      expect(facts(arrived)).toEqual(facts(error));
      expect(String(arrived)).toBe(String(error));
    }
  });

  test('XC-22: a CallbackRaised keeps its seqno and cause', () => {
    const cause = new RangeError('in the callback');
    const arrived = rethrow(new CallbackRaised(5, { cause }));
    expect(arrived).toBeInstanceOf(CallbackRaised);
    expect(arrived.seqno).toBe(5);
    expect(arrived.cause).toBeInstanceOf(RangeError);
    expect(arrived.cause.message).toBe('in the callback');
  });

  test('R11: a LostResult keeps what is known of the end', () => {
    const arrived = rethrow(new LostResult(lost));
    expect(arrived).toBeInstanceOf(LostResult);
    expect(arrived).toMatchObject(lost);
    expect(arrived.cause).toBeUndefined();
  });

  test('FUT-13: a DOMException keeps name, message, code and cause', () => {
    const error = Object.assign(new DOMException('m', 'DataCloneError'), {
      extra: 1,
    });
    const arrived = roundTrip({ error }).error;
    expect(arrived).toBeInstanceOf(DOMException);
    expect(arrived).toMatchObject({
      name: 'DataCloneError',
      message: 'm',
      code: 25,
      stack: error.stack,
      extra: 1,
    });
    expect(rethrow(AbortSignal.abort().reason)).toMatchObject({
      name: 'AbortError',
      code: 20,
    });
  });

  test('FUT-13: a system error keeps code, errno, syscall and path', () => {
    const error = caught(() => fs.readFileSync('/no/such/file'));
    expect(rethrow(error)).toMatchObject({
      code: 'ENOENT',
      errno: error.errno,
      syscall: 'open',
      path: '/no/such/file',
      message: error.message,
    });
  });

  test('FUT-13: an error of Node itself keeps its code and stack', () => {
    const error = caught(() => Buffer.alloc('x' as never));
    const arrived = rethrow(error);
    expect(arrived).toBeInstanceOf(TypeError);
    expect(arrived.code).toBe('ERR_INVALID_ARG_TYPE');
    expect(arrived.name).toBe(error.name);
    expect(arrived.stack).toBe(error.stack);
  });

  test('FUT-12: a user class arrives as the nearest known class', () => {
    class HttpError extends RangeError {
      constructor(
        readonly status: number,
        readonly body: object,
      ) {
        super(`HTTP ${status}`);
      }

      override get name(): string {
        return 'HttpError';
      }
    }
    const error = new HttpError(404, { path: ['x'] });
    const arrived = rethrow(error);
    expect(Object.getPrototypeOf(arrived)).toBe(RangeError.prototype);
    expect(arrived).toMatchObject({ status: 404, body: { path: ['x'] } });
    expect(arrived.name).toBe('HttpError');
    expect(Object.keys(arrived)).toEqual(['status', 'body']);
    expect(arrived.stack).toBe(error.stack);
  });

  test('FUT-12: a user class of ours arrives as ours', () => {
    class Busy extends Blocked {}
    expect(rethrow(new Busy())).toBeInstanceOf(Blocked);
  });

  test('FUT-18: no constructor of a user class is called', () => {
    let calls = 0;
    class Picky extends Error {
      constructor(a: number, b: number) {
        super(`${a} ${b}`);
        calls += 1;
        if (a === undefined || b === undefined) throw new Error('Two numbers!');
      }
    }
    const error = new Picky(1, 2);
    expect(roundTrip(error).message).toBe('1 2');
    expect(calls).toBe(1);
  });

  test('FUT-13: a class of the old style is an error', () => {
    function OldError(this: Error, message: string): void {
      Error.captureStackTrace(this);
      this.message = message;
    }
    Object.setPrototypeOf(OldError.prototype, TypeError.prototype);
    OldError.prototype.name = 'OldError';
    const error = Reflect.construct(OldError, ['old']);
    const arrived = rethrow(error);
    expect(arrived).toBeInstanceOf(TypeError);
    expect(arrived).toMatchObject({ name: 'OldError', message: 'old' });
    expect(arrived.stack).toBe(error.stack);
  });

  test('FUT-13: an object that has the name of an error is none', () => {
    class TypeError {
      message = 'no error';
    }
    const arrived = roundTrip([new TypeError()])[0];
    expect(types.isNativeError(arrived)).toBe(false);
    expect(arrived).toEqual({ message: 'no error' });
  });
});

describe('fields', () => {
  test('FUT-11: the stack arrives as it was, and stays hidden', () => {
    function failingFunction(): never {
      throw new Error('deep down');
    }
    const arrived = rethrow(caught(failingFunction));
    expect(arrived.stack).toContain('failingFunction');
    expect(arrived.stack).toContain(__filename);
    expect(Object.keys(arrived)).toEqual([]);
  });

  test('FUT-10, FUT-13: errors are errors anywhere in a value', () => {
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

  test('FUT-15: the chain of causes stays a chain of errors', () => {
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

  test('FUT-15: a chain of 10,000 causes arrives', () => {
    let error: Error = new Error('0');
    for (let i = 1; i <= 10_000; i += 1)
      error = new Error('', { cause: error });
    let arrived = rethrow(error);
    for (let i = 0; i < 10_000; i += 1) arrived = arrived.cause;
    expect(arrived.message).toBe('0');
  });

  test.each([undefined, null, 0, 'text', { a: [1] }, [new Date(0)], 10n])(
    'FUT-13: a cause of %p arrives',
    (cause) => {
      const arrived = rethrow(new Error('m', { cause }));
      expect(Object.hasOwn(arrived, 'cause')).toBe(true);
      expect(arrived.cause).toEqual(cause);
    },
  );

  test('FUT-13: errors that hold one another arrive so', () => {
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

  test('FUT-13: an AggregateError keeps its errors', () => {
    const inner = new RangeError('inner');
    const arrived = rethrow(new AggregateError([inner, 42, 'x'], 'all'));
    expect(arrived).toBeInstanceOf(AggregateError);
    expect(Object.keys(arrived)).toEqual([]);
    expect(arrived.errors[0]).toBeInstanceOf(RangeError);
    expect(arrived.errors.slice(1)).toEqual([42, 'x']);
  });

  test('FUT-14: what cannot travel among `errors` is told as text', () => {
    const rejected = [new TypeError('kept'), (): void => {}, { f(): void {} }];
    const arrived = rethrow(new AggregateError(rejected));
    expect(arrived.errors[0]).toBeInstanceOf(TypeError);
    expect(arrived.errors[1]).toContain('[Function');
    expect(arrived.errors[2]).toContain('f: ');
  });

  test('FUT-14: a property that cannot travel costs that property', () => {
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

  test('FUT-16: further hops change nothing', () => {
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

  test('FUT-16: an error with an inherited name stays equal, too', () => {
    class Custom extends Error {}
    Custom.prototype.name = 'Inherited';
    const first = roundTrip(new Custom('m'));
    expect(first.name).toBe('Inherited');
    expect(Object.keys(first)).toEqual([]);
    expect(facts(rethrow(first))).toEqual(facts(first));
  });

  test('FUT-17: an error without cause or stack gets neither', () => {
    const error = new Error('bare');
    delete error.stack;
    const arrived = rethrow(error);
    expect(Object.hasOwn(arrived, 'cause')).toBe(false);
    expect(arrived.stack).toBeUndefined();
  });

  test('FUT-11: Error.stackTraceLimit is left as it was', () => {
    const limit = Error.stackTraceLimit;
    roundTrip(new Error('m'));
    expect(Error.stackTraceLimit).toBe(limit);
    expect(new Error('here').stack).toContain(__filename);
  });

  test('FUT-13: a stack made of call sites is told as a headline', () => {
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

describe('what is thrown', () => {
  test.each([42, NaN, null, undefined, 'x', 10n, true, { a: 1 }, [1]])(
    'FUT-13: a thrown %p comes back as itself',
    (thrown) => {
      expect(rethrow(thrown)).toEqual(thrown);
    },
  );

  test.each<[string, unknown]>([
    ['[Function: named]', function named() {}],
    ['Symbol(s)', Symbol('s')],
    ['f: [Function: f]', { f(): void {} }],
    ['Promise', Promise.resolve(1)],
    ['in the target', new Proxy(new Error('in the target'), {})],
  ])('FUT-14: a thrown value is told as text: %s', (text, thrown) => {
    const arrived = rethrow(thrown);
    expect(arrived).toBeInstanceOf(Error);
    expect(arrived.code).toBe('ERR_JOBSERVER_NOT_SERIALIZABLE');
    expect(arrived.message).toMatch(/^What was thrown is not serializable: /);
    expect(arrived.message).toContain(text);
  });

  test('FUT-14: an error whose getters throw is told as far as it goes', () => {
    const error = new RangeError('original');
    for (const key of ['stack', 'message', 'name']) {
      Object.defineProperty(error, key, {
        get() {
          throw new Error(`no ${key}`);
        },
      });
    }
    const arrived = rethrow(error);
    expect(arrived).toBeInstanceOf(RangeError);
    expect(arrived.message).toBe(
      'The message of this error could not be read: no message',
    );
    expect(arrived.stack).toBe(`Error: ${arrived.message}`);
  });

  test('FUT-14: nothing that is thrown makes it throw', () => {
    const boom = (): never => {
      throw new Error('boom');
    };
    const traps = { get: boom, has: boom, ownKeys: boom, getPrototypeOf: boom };
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const odd: unknown[] = [
      new Proxy({}, traps),
      new Proxy(new Error('x'), traps),
      new Proxy(() => 1, traps),
      proxy,
      Object.create(new Proxy({}, traps)),
      { [Symbol.for('nodejs.util.inspect.custom')]: boom, f: boom },
      Object.setPrototypeOf(new Error('null'), null),
      Object.setPrototypeOf(new Error('trap'), new Proxy({}, traps)),
      Object.freeze(new Error('frozen')),
      Object.assign(new Error('name'), { name: { f: boom } }),
      Error.prototype,
      DOMException.prototype,
      Object.create(DOMException.prototype),
      globalThis,
    ];
    for (const thrown of odd) {
      expect(() => rethrow(thrown)).not.toThrow();
    }
  });
});
