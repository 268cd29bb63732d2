import { unsendable } from '../../dist/wire/value.js';
import { refusal } from './round-trip.js';

class Fixed {
  get [unsendable](): string {
    return 'a Fixed belongs to its process';
  }
}

function throwAlways(): never {
  throw new Error('trap');
}

const throwingTraps: ProxyHandler<object> = {
  get: throwAlways,
  has: throwAlways,
  ownKeys: throwAlways,
  getPrototypeOf: throwAlways,
};

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

describe('the error of a value that cannot be sent', () => {
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

  test.each(refused)('names the part: %s', (text, value) => {
    const error = refusal(value);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.code).toBe('ERR_JOBSERVER_NOT_SERIALIZABLE');
    expect(error.message).toContain(`Not serializable: ${text}`);
  });

  test.each(refused)('names the part beside an error: %s', (text, value) => {
    const name = text.replace('args', 'args.value');
    // For a value that is nested too deeply, the message names only the root.
    const expected = name.endsWith('deeply') ? 'args is nested' : name;
    expect(refusal({ value, error: new Error('special') }).message).toContain(
      `Not serializable: ${expected}`,
    );
  });

  test('names a MessagePort', () => {
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

  test('has the DataCloneError as its cause', () => {
    const { cause } = refusal([() => 1]);
    expect(cause.name).toBe('DataCloneError');
    expect(cause.message).toContain('could not be cloned');
  });

  test('names a getter that throws, and has its error as the cause', () => {
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

  test('names a Proxy whose traps throw', () => {
    expect(refusal({ p: new Proxy({}, throwingTraps) }).message).toContain(
      'args.p is a Proxy',
    );
  });

  test('shortens the path to a part that is nested deeply', () => {
    let value: unknown = () => 1;
    for (let i = 0; i < 1000; i += 1) value = [value];
    expect(refusal(value).message).toMatch(/^.*args\[0\].*….*is a function$/);
    expect(refusal(value).message.length).toBeLessThan(300);
  });
});
