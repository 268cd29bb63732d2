import { isText, parseText, textOf } from '../../dist/wire/text.js';
import { decode } from '../../dist/wire/value.js';
import { thrown } from '../helpers/thrown.js';

describe('a small plain value is a text, and comes back as it was', () => {
  test.each([
    undefined,
    null,
    true,
    0,
    -1.5,
    Number.MAX_VALUE,
    '',
    'ü€😀\u0000"',
    'a lone surrogate \ud800',
    [],
    [[1], [2, [3]]],
    { a: 1, 'b c': 'x', nested: { list: [null, false] } },
    JSON.parse('{"__proto__": 1, "constructor": 2}'),
  ])('%j', (value: unknown) => {
    const text = textOf(value)!;
    expect(isText(Buffer.from(text))).toBe(true);
    expect(parseText(text)).toEqual(value);
    const bytes = Buffer.from(text);
    expect(decode(bytes)).toEqual(value);
    expect(Object.getOwnPropertyNames(value ?? {})).toEqual(
      Object.getOwnPropertyNames(parseText(text) ?? {}),
    );
  });
});

describe('what JSON does not bring back is no text', () => {
  const shared = {};
  const cycle: unknown[] = [];
  cycle.push(cycle);
  class Plain {
    readonly a = 1;
  }
  const named = Object.assign([1], { name: 1 });
  const throwing = {
    get a(): never {
      throw new Error('getter');
    },
  };
  test.each<readonly [string, unknown]>([
    ['-0', -0],
    ['NaN', NaN],
    ['Infinity', Infinity],
    ['a bigint', 1n],
    ['undefined in an object', { a: undefined }],
    ['undefined in an array', [undefined]],
    ['a hole', new Array(1)],
    ['a named property of an array', named],
    ['a second reference', [shared, shared]],
    ['a cycle', cycle],
    ['an instance of a class', new Plain()],
    ['an object without a prototype', Object.create(null)],
    ['a Date', new Date(0)],
    ['a Date with another prototype', Object.setPrototypeOf(new Date(), {})],
    ['an Error', new Error('x')],
    ['a Map', new Map()],
    ['a Buffer', Buffer.of(1)],
    ['a Proxy', new Proxy({}, {})],
    ['toJSON', { toJSON: () => 1 }],
    ['a function', () => 1],
    ['a symbol', Symbol('x')],
    ['a getter that throws', throwing],
    ['a long string', 'x'.repeat(5000)],
    ['a long array', new Array(5000).fill(0)],
    ['many objects', Array.from({ length: 20 }, () => ({}))],
    ['a deep value', [[[[[1]]]]]],
  ])('%s', (_, value) => {
    expect(textOf(value)).toBeUndefined();
  });
});

test('a text that is none of ours is refused', () => {
  for (const text of ['x', '[1', '{"a":']) {
    const error = thrown(() => decode(Buffer.from(text)));
    expect(error).toMatchObject({ code: 'ERR_JOBSERVER_NOT_RECONSTRUCTABLE' });
  }
});
