import * as fs from 'node:fs';
import { types } from 'node:util';
import {
  AbortError,
  Blocked,
  CallbackRaised,
  LostResult,
} from '../../dist/errors.js';
import { thrown } from '../helpers/thrown.js';
import { type Loose, facts, rethrow, roundTrip } from './round-trip.js';

const lost = { pid: 7, exitCode: null, signal: 'SIGKILL' } as const;

describe('a decoded error', () => {
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
  ])('has the class of the error that was encoded: %s', (_, error) => {
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

  test('has seqno and cause if it is a CallbackRaised', () => {
    const cause = new RangeError('in the callback');
    const arrived = rethrow(new CallbackRaised(5, { cause }));
    expect(arrived).toBeInstanceOf(CallbackRaised);
    expect(arrived.seqno).toBe(5);
    expect(arrived.cause).toBeInstanceOf(RangeError);
    expect(arrived.cause.message).toBe('in the callback');
  });

  test('has pid, exit code and signal if it is a LostResult', () => {
    const arrived = rethrow(new LostResult(lost));
    expect(arrived).toBeInstanceOf(LostResult);
    expect(arrived).toMatchObject(lost);
    expect(arrived.cause).toBeUndefined();
    const items = { first: 4, last: 9 };
    expect(rethrow(new LostResult(lost, { items })).items).toEqual(items);
  });

  test('has name, message, code and stack if it is a DOMException', () => {
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

  test('has code, errno, syscall and path if it is a system error', () => {
    const error: Loose = thrown(() => fs.readFileSync('/no/such/file'));
    expect(rethrow(error)).toMatchObject({
      code: 'ENOENT',
      errno: error.errno,
      syscall: 'open',
      path: '/no/such/file',
      message: error.message,
    });
  });

  test('has code, name and stack if Node itself has thrown it', () => {
    const error: Loose = thrown(() => Buffer.alloc('x' as never));
    const arrived = rethrow(error);
    expect(arrived).toBeInstanceOf(TypeError);
    expect(arrived.code).toBe('ERR_INVALID_ARG_TYPE');
    expect(arrived.name).toBe(error.name);
    expect(arrived.stack).toBe(error.stack);
  });

  test('has the nearest known class in place of a class of the user', () => {
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
    expect(arrived).toBeInstanceOf(RangeError);
    expect(arrived).toMatchObject({ status: 404, body: { path: ['x'] } });
    expect(arrived.name).toBe('HttpError');
    expect(Object.keys(arrived)).toEqual(['status', 'body']);
    expect(arrived.stack).toBe(error.stack);
  });

  test('has the class of this library that the user has extended', () => {
    class Busy extends Blocked {}
    expect(rethrow(new Busy())).toBeInstanceOf(Blocked);
  });

  test('is made without calling a constructor of the user', () => {
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

  test('may have a class that is a function with a prototype', () => {
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

  test('is not made from an object whose class has the name of one', () => {
    class TypeError {
      message = 'no error';
    }
    const arrived = roundTrip([new TypeError()])[0];
    expect(types.isNativeError(arrived)).toBe(false);
    expect(arrived).toEqual({ message: 'no error' });
  });
});
