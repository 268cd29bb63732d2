import { inspect } from 'node:util';
import { createContext, runInContext } from 'node:vm';
import { decode, encode, sendable, unsendable } from '../../dist/wire/value.js';

// What arrives is looked into without types.
type Loose = ReturnType<typeof JSON.parse>;

const roundTrip = (value: unknown): Loose => decode(encode(value, 'value'));

class Handle {
  constructor(readonly slots: number) {}

  [sendable](): void {}
}

class Fixed {
  get [unsendable](): string {
    return 'a Fixed belongs to its process';
  }
}

describe('what arrives as it was sent', () => {
  test.each([
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
  ])('FUT-08, FUT-26: %p arrives as it was sent', (value) => {
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

  test('FUT-26: an invalid Date stays one', () => {
    expect(roundTrip(new Date(NaN)).getTime()).toBeNaN();
  });

  test('FUT-26: holes and named properties of arrays stay', () => {
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

  test('FUT-26: an error in a named property of a long array is found', () => {
    const error = Object.assign(new Error('found'), { code: 'E' });
    const array = Object.assign(Array.from({ length: 100 }).fill(1), { error });
    expect(roundTrip([array])[0].error.code).toBe('E');
  });

  test('FUT-26: an instance of a class arrives as a plain object', () => {
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

  test('FUT-26: own keys named __proto__ do not become prototypes', () => {
    const value: unknown = JSON.parse('{"__proto__": {"a": 1}}');
    for (const special of [undefined, new Error('special')]) {
      const arrived = roundTrip({ value, special }).value;
      expect(Object.keys(arrived)).toEqual(['__proto__']);
      expect(arrived.a).toBeUndefined();
    }
  });

  test('FUT-28: cycles and identity stay', () => {
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

  test('FUT-28: a wide cycle costs no more than its size', () => {
    const parent: object[] = [];
    for (let i = 0; i < 50_000; i += 1) parent.push({ i, parent });
    const arrived = roundTrip(parent);
    expect(arrived).toHaveLength(50_000);
    expect(arrived[49_999].parent === arrived).toBe(true);
  });

  test('FUT-28: parts shared to a depth of 60 are visited once', () => {
    let value: object = {};
    for (let i = 0; i < 60; i += 1) value = { left: value, right: value };
    const arrived = roundTrip([value, new Error('special')])[0];
    expect(arrived.left === arrived.right).toBe(true);
  });

  test('FUT-29: 32 MiB arrive, of bytes, of text, and of numbers', () => {
    const bytes = Buffer.alloc(32 << 20, 'ab');
    expect(roundTrip([bytes])[0].equals(bytes)).toBe(true);
    const text = 'ab'.repeat(16 << 20);
    expect(roundTrip([text])[0] === text).toBe(true);
    const numbers = new Float64Array(4 << 20).fill(0.5);
    expect(roundTrip([numbers])[0].at(-1)).toBe(0.5);
  });

  test('FUT-29: 256 MiB take little more than 256 MiB of bytes', () => {
    const bytes = Buffer.alloc(1 << 28);
    bytes[bytes.length - 1] = 7;
    const encoded = encode([bytes], 'args');
    expect(encoded.length - bytes.length).toBeLessThan(64);
    // The decoded buffer is a view: no copy is made.
    const [arrived] = decode(encoded) as [Buffer];
    expect(arrived.buffer).toBe(encoded.buffer);
    expect(arrived[bytes.length - 1]).toBe(7);
  });

  test('FUT-26: a pooled Buffer carries its bytes and not the pool', () => {
    const encoded = encode([Buffer.from('little')], 'args');
    expect(encoded.length).toBeLessThan(64);
  });

  test('NOD-08: values of another realm arrive', () => {
    const value: unknown = runInContext(
      `({ list: [1], map: new Map([['e', new RangeError('there')]]) })`,
      createContext({}),
    );
    const { list, map } = roundTrip(value);
    expect(list).toEqual([1]);
    expect(map.get('e')).toBeInstanceOf(RangeError);
    expect(map.get('e').message).toBe('there');
  });
});

describe('handles', () => {
  const send = (handle: object): unknown => ({
    slots: (handle as Handle).slots,
  });
  const revive = (sent: unknown): object =>
    new Handle((sent as Handle).slots * 2);

  test('NOD-08: a handle is sent as data and revived', () => {
    const bytes = encode([new Handle(3)], 'args', send);
    const [handle] = decode(bytes, revive) as [Handle];
    expect(handle).toBeInstanceOf(Handle);
    expect(handle.slots).toBe(6);
  });

  test('NOD-08: a handle sent twice arrives as one object', () => {
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

  test('NOD-08: a field that marks the class is a mark, too', () => {
    class Marked {
      readonly [sendable] = true;
    }
    const sent = Array.from({ length: 100 }, () => ({ of: new Marked() }));
    const arrived = decode(
      encode(sent, 'args', () => 'told'),
      (told) => ({ told }),
    ) as { of: unknown }[];
    expect(arrived).toHaveLength(100);
    expect(arrived[50]!.of).toHaveProperty('told', 'told');
  });

  test('NOD-08: without `send` a handle is refused', () => {
    expect(() => encode([new Handle(1)], 'result')).toThrow(
      'result[0] is an instance of Handle, which cannot be sent here',
    );
  });

  test('NOD-08: a `send` that throws is the cause of the refusal', () => {
    const cause = new Error('closed');
    const fail = (): unknown => {
      throw cause;
    };
    expect(refusal([new Handle(1)], fail)).toMatchObject({
      message: expect.stringContaining('args[0] is an instance of Handle'),
      cause,
    });
  });

  test('NOD-08: without `revive` a handle cannot be reconstructed', () => {
    const bytes = encode([new Handle(1)], 'args', send);
    expect(() => decode(bytes)).toThrow(
      expect.objectContaining({ code: 'ERR_JOBSERVER_NOT_RECONSTRUCTABLE' }),
    );
  });

  test('FUT-24: a `revive` that throws is the cause', () => {
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

function refusal(value: unknown, send?: (handle: object) => unknown): Loose {
  try {
    encode(value, 'args', send);
  } catch (error) {
    return error;
  }
  throw new Error(`Was encoded: ${inspect(value)}`);
}

function detached<T extends ArrayBuffer | Uint8Array>(memory: T): T {
  const buffer = ArrayBuffer.isView(memory) ? memory.buffer : memory;
  structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
  return memory;
}

function endless(n: number): object {
  return {
    n,
    get next(): object {
      return endless(n + 1);
    },
  };
}

function deep(levels: number): unknown[] {
  let value: unknown[] = [];
  for (let i = 0; i < levels; i += 1) value = [value];
  return value;
}

describe('what is refused', () => {
  const refused: [path: string, value: unknown][] = [
    ['args is a function', () => 1],
    ['args is a symbol', Symbol('s')],
    ['args[0].options.log is a function', [{ options: { log(): void {} } }]],
    ['args[0]["odd key"] is a symbol', [{ 'odd key': Symbol('s') }]],
    ["args.get('k')[0] is a function", new Map([['k', [(): void => {}]]])],
    [
      'args.keys()[1] is a symbol',
      new Map<unknown, 1>([
        [1, 1],
        [Symbol(), 1],
      ]),
    ],
    ['args.values()[0] is a function', new Map([[{}, (): void => {}]])],
    ['args.values()[1] is a function', new Set([1, (): void => {}])],
    ['args.named is a function', Object.assign([1], { named(): void {} })],
    ['args[7] is a function', Object.assign([], { 7: (): void => {} })],
    ['args.w is an instance of WeakMap', { w: new WeakMap() }],
    ['args.w is an instance of WeakRef', { w: new WeakRef({}) }],
    ['args.p is an instance of Promise', { p: Promise.resolve() }],
    ['args[0] is a Proxy', [new Proxy({}, {})]],
    ['args.g is an instance of', { g: (function* () {})() }],
    ['args.i is an instance of Array Iterator', { i: [].values() }],
    ['args[0] is an instance of SharedArrayBuffer', [new SharedArrayBuffer(1)]],
    [
      'args[0] is a view of a SharedArrayBuffer',
      [new Uint8Array(new SharedArrayBuffer(1))],
    ],
    [
      'args.a is an instance of ArrayBuffer',
      { a: detached(new ArrayBuffer(8)) },
    ],
    ['args.a is an instance of Uint8Array', { a: detached(new Uint8Array(8)) }],
    ['args.f is an instance of Fixed: a Fixed belongs', { f: new Fixed() }],
    ['args[1000] is an instance of Fixed', [...Array(1000), new Fixed()]],
    ['args.o is an instance of Symbol', { o: Object(Symbol()) }],
    ['args is nested too deeply', deep(1_000_000)],
    ['args is nested too deeply', endless(0)],
  ];

  test.each(refused)('FUT-19, NOD-08: %s', (text, value) => {
    const error = refusal(value);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.code).toBe('ERR_JOBSERVER_NOT_SERIALIZABLE');
    expect(error.message).toContain(`Not serializable: ${text}`);
  });

  test.each(refused)('FUT-19: %s, beside an error, too', (text, value) => {
    const name = text.replace('args', 'args.value');
    // Depth is not looked at piece by piece.
    const expected = name.endsWith('deeply') ? 'args is nested' : name;
    expect(refusal({ value, error: new Error('special') }).message).toContain(
      `Not serializable: ${expected}`,
    );
  });

  test('NOD-08: a MessagePort is refused', () => {
    const { port1, port2 } = new MessageChannel();
    try {
      expect(refusal([port1]).message).toContain(
        'args[0] is an instance of MessagePort',
      );
    } finally {
      port1.close();
      port2.close();
    }
  });

  test('CTX-03: the cause is the DataCloneError', () => {
    const { cause } = refusal([() => 1]);
    expect(cause.name).toBe('DataCloneError');
    expect(cause.message).toContain('could not be cloned');
  });

  test('FUT-21: a getter that throws is named, with its error as cause', () => {
    const cause = new Error('boo');
    const value = {
      get field(): never {
        throw cause;
      },
    };
    for (const special of [undefined, new Error('special')]) {
      const error = refusal([value, special]);
      expect(error.message).toBe(
        'Not serializable: args[0].field cannot be read: boo',
      );
      expect(error.cause).toBe(cause);
    }
  });

  test('FUT-21: a Proxy whose traps throw is refused', () => {
    const trap = (): never => {
      throw new Error('trap');
    };
    const traps = { get: trap, has: trap, ownKeys: trap, getPrototypeOf: trap };
    expect(refusal({ p: new Proxy({}, traps) }).message).toContain(
      'args.p is a Proxy',
    );
    const heir: unknown = Object.create(new Proxy({}, traps), {
      own: { value: 1, enumerable: true },
    });
    expect(roundTrip([heir])[0]).toEqual({ own: 1 });
  });

  test('FUT-20: depth that V8 takes is no trouble for errors in it', () => {
    let value: unknown = new RangeError('bottom');
    for (let i = 0; i < 1000; i += 1) value = [value];
    let arrived = roundTrip(value);
    while (Array.isArray(arrived)) arrived = arrived[0];
    expect(arrived).toBeInstanceOf(RangeError);
  });

  test('FUT-19: the path to a place far down is short', () => {
    let value: unknown = () => 1;
    for (let i = 0; i < 1000; i += 1) value = [value];
    expect(refusal(value).message).toMatch(/^.*args\[0\].*….*is a function$/);
    expect(refusal(value).message.length).toBeLessThan(300);
  });
});
