import { rethrow } from './round-trip.js';

describe('a thrown value', () => {
  test.each(
    [42, NaN, null, undefined, 'x', 10n, true, { a: 1 }, [1]].map((it) => [it]),
  )('need not be an error: %p', (thrown) => {
    expect(rethrow(thrown)).toEqual(thrown);
  });

  test.each<[string, unknown]>([
    ['[Function: named]', function named() {}],
    ['Symbol(s)', Symbol('s')],
    ['f: [Function: f]', { f(): void {} }],
    ['Promise', Promise.resolve(1)],
    ['in the target', new Proxy(new Error('in the target'), {})],
  ])('that cannot be sent is described by a TypeError: %s', (text, thrown) => {
    const arrived = rethrow(thrown);
    expect(arrived).toBeInstanceOf(TypeError);
    expect(arrived.code).toBe('ERR_JOBSERVER_NOT_SERIALIZABLE');
    expect(arrived.message).toMatch(/^What was thrown is not serializable: /);
    expect(arrived.message).toContain(text);
  });

  test('may be an error whose getters throw', () => {
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

  test('never makes encoding or decoding fail', () => {
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
