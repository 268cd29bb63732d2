import { inspect } from 'node:util';
import { createContext, runInContext } from 'node:vm';
import { decode, encode, sendable } from '../../dist/wire/value.js';
import { refusal, roundTrip } from './round-trip.js';

class Handle {
  constructor(readonly slots: number) {}

  [sendable](): void {}
}

describe('a decoded value', () => {
  const values: readonly unknown[] = [
    undefined,
    null,
    0,
    -0,
    NaN,
    Infinity,
    false,
    true,
    '',
    'naïve ü €',
    'x'.repeat(100_000),
    10n ** 40n,
    -1n,
    [],
    {},
    [[], {}],
    new Date(0),
    /a+b/giu,
    new Map<unknown, unknown>([
      ['a', new Map([[{}, 1]])],
      [NaN, undefined],
    ]),
    new Set<unknown>([1, 'a', new Set()]),
    Buffer.alloc(0),
    Buffer.from('bytes'),
    new Uint8Array(0),
    new Int8Array([-1]),
    new Uint8ClampedArray([300]),
    new Uint16Array([1, 2]),
    new Int32Array([-1, 2]),
    new Float32Array([0.5]),
    new Float64Array([0.1, NaN, -0]),
    new BigInt64Array([-1n]),
    new BigUint64Array([1n]),
    new DataView(new ArrayBuffer(3)),
    new ArrayBuffer(0),
    new ArrayBuffer(9),
    Object(1),
    Object('boxed'),
    Object(false),
    Object(1n),
    { a: undefined, 1: 'index', 'odd key': null },
    [1, 'a', { b: [true] }],
  ];

  test.each(
    values.map((value): [string, unknown] => [
      inspect(value).slice(0, 60),
      value,
    ]),
  )('equals the value that was encoded: %s', (_, value) => {
    const plain = roundTrip(value);
    const nested = roundTrip({ in: [value, new Error('special')] });
    for (const arrived of [plain, nested.in[0]]) {
      expect(arrived).toEqual(value);
      expect(Object.is(arrived, -0)).toBe(Object.is(value, -0));
      expect(Object.prototype.toString.call(arrived)).toBe(
        Object.prototype.toString.call(value),
      );
      expect(Buffer.isBuffer(arrived)).toBe(Buffer.isBuffer(value));
    }
  });

  test('is an invalid Date if it was one', () => {
    expect(roundTrip(new Date(NaN)).getTime()).toBeNaN();
  });

  test('keeps holes and named properties of arrays', () => {
    const sparse: unknown[] = [1, , 3]; // eslint-disable-line no-sparse-arrays
    const long = Object.assign(
      Array.from({ length: 100 }, () => 0),
      { total: 5 },
    );
    const far: unknown[] = [];
    far[4_000_000_000] = 'far';
    for (const special of [undefined, new Error('special')]) {
      const arrived = roundTrip({ sparse, long, far, special });
      expect(arrived.sparse).toHaveLength(3);
      expect(1 in arrived.sparse).toBe(false);
      expect(arrived.long).toHaveLength(100);
      expect(arrived.long.total).toBe(5);
      expect(arrived.far).toHaveLength(4_000_000_001);
      expect(Object.keys(arrived.far)).toEqual(['4000000000']);
    }
  });

  test('has a plain object in place of an instance of a class', () => {
    class Point {
      x = 1;
      #hidden = 2;
      get sum(): number {
        return this.x + this.#hidden;
      }
    }
    for (const special of [undefined, new Error('special')]) {
      const { point } = roundTrip({ point: new Point(), special });
      expect(point).toEqual({ x: 1 });
      expect(Object.keys(point)).toEqual(['x']);
    }
  });

  test('keeps an own property named __proto__, which is no prototype', () => {
    const value: unknown = JSON.parse('{"__proto__": {"a": 1}}');
    for (const special of [undefined, new Error('special')]) {
      const arrived = roundTrip({ value, special }).value;
      expect(Object.keys(arrived)).toEqual(['__proto__']);
      expect(arrived.a).toBeUndefined();
    }
  });

  test('keeps cycles and the identity of shared objects', () => {
    const shared = { name: 'shared' };
    const value: Record<string, unknown> = { a: shared, b: shared };
    value['self'] = value;
    value['map'] = new Map<unknown, unknown>([[shared, value]]);
    value['set'] = new Set([value, shared]);
    for (const special of [undefined, new Error('special')]) {
      const arrived = roundTrip({ ...value, value, special }).value;
      expect(arrived.self).toBe(arrived);
      expect(arrived.a).toBe(arrived.b);
      expect(arrived.map.get(arrived.a)).toBe(arrived);
      expect([...arrived.set]).toEqual([arrived, arrived.a]);
    }
  });

  test('may contain 32 MiB of bytes, text or numbers', () => {
    const bytes = Buffer.alloc(32 << 20, 'ab');
    expect(roundTrip([bytes])[0].equals(bytes)).toBe(true);
    const text = 'ab'.repeat(16 << 20);
    expect(roundTrip([text])[0] === text).toBe(true);
    const numbers = new Float64Array(4 << 20).fill(0.5);
    expect(roundTrip([numbers])[0].at(-1)).toBe(0.5);
  });

  test('may come from another realm', () => {
    const value: unknown = runInContext(
      `({ list: [1], map: new Map([['e', new RangeError('there')]]) })`,
      createContext({}),
    );
    const { list, map } = roundTrip(value);
    expect(list).toEqual([1]);
    expect(map.get('e')).toBeInstanceOf(RangeError);
    expect(map.get('e').message).toBe('there');
  });

  test('contains errors at a depth that V8 accepts', () => {
    let value: unknown = new RangeError('bottom');
    for (let i = 0; i < 1000; i += 1) value = [value];
    let arrived = roundTrip(value);
    while (Array.isArray(arrived)) arrived = arrived[0];
    expect(arrived).toBeInstanceOf(RangeError);
  });

  test('may have a Proxy in its prototype chain, whose traps throw', () => {
    const trap = (): never => {
      throw new Error('trap');
    };
    const traps = { get: trap, has: trap, ownKeys: trap, getPrototypeOf: trap };
    const heir: unknown = Object.create(new Proxy({}, traps), {
      own: { value: 1, enumerable: true },
    });
    expect(roundTrip([heir])[0]).toEqual({ own: 1 });
  });
});

describe('a handle', () => {
  const send = (handle: object): unknown => ({
    slots: (handle as Handle).slots,
  });
  const revive = (sent: unknown): object =>
    new Handle((sent as Handle).slots * 2);

  test('is sent as plain data and revived from it', () => {
    const bytes = encode([new Handle(3)], 'args', send);
    const [handle] = decode(bytes, revive) as [Handle];
    expect(handle).toBeInstanceOf(Handle);
    expect(handle.slots).toBe(6);
  });

  test('is sent once and stays one object when it occurs twice', () => {
    const handle = new Handle(1);
    const error = Object.assign(new Error('has one'), { handle });
    const sent = { handle, deep: [new Map([['k', handle]])], error };
    let sends = 0;
    const bytes = encode(sent, 'args', (each) => {
      sends += 1;
      return send(each);
    });
    const arrived = decode(bytes, revive) as typeof sent;
    expect(sends).toBe(1);
    expect(arrived.deep[0]!.get('k')).toBe(arrived.handle);
    expect(arrived.error.handle).toBe(arrived.handle);
  });

  test('is refused without `send`', () => {
    expect(() => encode([new Handle(1)], 'result')).toThrow(
      'result[0] is an instance of Handle, which cannot be sent here',
    );
  });

  test('is refused when `send` throws, with that error as the cause', () => {
    const cause = new Error('closed');
    const fail = (): unknown => {
      throw cause;
    };
    expect(refusal([new Handle(1)], fail)).toMatchObject({
      message: expect.stringContaining('args[0] is an instance of Handle'),
      cause,
    });
  });

  test('cannot be decoded without `revive`', () => {
    const bytes = encode([new Handle(1)], 'args', send);
    expect(() => decode(bytes)).toThrow(
      expect.objectContaining({ code: 'ERR_JOBSERVER_NOT_RECONSTRUCTABLE' }),
    );
  });

  test('cannot be decoded when `revive` throws, which is the cause', () => {
    const cause = new Error('no such pool');
    const bytes = encode([new Handle(1)], 'args', send);
    const fail = (): object => {
      throw cause;
    };
    expect(() => decode(bytes, fail)).toThrow(
      expect.objectContaining({
        code: 'ERR_JOBSERVER_NOT_RECONSTRUCTABLE',
        cause,
      }),
    );
  });
});
