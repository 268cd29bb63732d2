// Errors of classes that the receiver does not have.
import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import { Blocked } from '../../dist/errors.js';
import { rethrow, roundTrip } from './round-trip.js';

describe('a decoded error of a class of the user', () => {
  class Plain extends Error {}
  class Below extends Plain {}
  class Typed extends TypeError {}
  class Several extends AggregateError {}
  class Dom extends DOMException {}
  class Late extends Blocked {}
  class WithJson extends Error {
    toJSON(): string {
      return 'as JSON';
    }
  }
  class WithOwnName extends Error {
    override name = 'Chosen';
  }
  class SyntaxError extends RangeError {}

  test.each<[string, Error]>([
    ['a class without a name of its own', new Plain('m')],
    ['a class below such a class', new Below('m')],
    ['a class that extends a built-in one', new Typed('m')],
    ['AggregateError', new Several([new Typed('in it')], 'm')],
    ['DOMException', new Dom('m', 'NotFoundError')],
    ['a class of this library', new Late('m')],
    ['a class with toJSON', new WithJson('m')],
    ['a class with a name of its own', new WithOwnName('m')],
    ['a class named as a built-in one', new SyntaxError('m')],
    ['a frozen error', Object.freeze(new Plain('m'))],
    ['a cause', new Error('m', { cause: new Typed('in it') })],
    ['another realm', runInNewContext('new (class Far extends Error {})("m")')],
    ['a built-in of another realm', runInNewContext('new RangeError("m")')],
  ])('is shown with the name of its class: %s', (_, error) => {
    const once = rethrow(error);
    const twice = rethrow([once])[0];
    for (const arrived of [once, twice]) {
      expect(inspect(arrived)).toBe(inspect(error));
      expect(arrived.name).toBe(error.name);
    }
  });

  test('is shown with the name of a function that is its class', () => {
    function Old(this: Error, message: string): void {
      this.message = message;
    }
    Object.setPrototypeOf(Old.prototype, URIError.prototype);
    const arrived = rethrow(Reflect.construct(Old, ['m']));
    expect(inspect(arrived)).toBe('[Old [URIError]: m]');
  });

  test('has the same prototype as another error of its class', () => {
    const [a, b] = roundTrip([new Typed('a'), new Typed('b')]);
    expect(Object.getPrototypeOf(a)).toBe(Object.getPrototypeOf(b));
    expect(a.constructor).not.toBe(TypeError);
    expect(a.constructor.name).toBe('Typed');
  });
});
