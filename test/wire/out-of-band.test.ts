import { DefaultSerializer } from 'node:v8';
import {
  OutOfBand,
  leastOutOfBand,
  makeView,
  packTable,
  tableLength,
  typeOfView,
  unpackTable,
} from '../../dist/wire/out-of-band.js';
import {
  type ArrivedBuffer,
  type BufferRange,
  alwaysOutOfBand,
  bytesOf,
  decode,
  encode,
  places,
} from '../../dist/wire/value.js';
import { pattern } from '../fixtures/value-jobs.js';
import { expectBytes, kinds, makeView as makeKind } from '../helpers/views.js';

const large = leastOutOfBand;

/** What `encode` stores of a value, and the value that `decode` makes of that. */
function travel<T>(value: T): { stored: BufferRange[]; got: T; bytes: Buffer } {
  let stored: BufferRange[] = [];
  const encoded = encode(value, 'value', undefined, (ranges) => {
    stored = [...ranges];
    return ranges.map(({ start, end }, file) => ({
      ...{ kind: 0, file, offset: 0, length: end - start },
    }));
  });
  const arrived: ArrivedBuffer[] = stored.map(({ buffer, start, end }) => ({
    memory: buffer.slice(start, end),
    start,
  }));
  const bytes = Buffer.from(bytesOf(encoded));
  return { stored, got: decode(encoded, undefined, arrived) as T, bytes };
}

test('views of 32 KiB and more leave the bytes; smaller ones stay', () => {
  for (const [size, count] of [
    [large - 1, 0],
    [large, 1],
    [large + 1, 1],
  ] as const) {
    const sent = pattern(size, 1);
    for (const value of [sent, sent.buffer as ArrayBuffer]) {
      const { stored, got, bytes } = travel(value);
      expect(stored).toHaveLength(count);
      expect(bytes.length < 1000).toBe(count === 1);
      expectBytes(got, value);
    }
  }
});

test.each(kinds.map((kind) => [kind.name, kind] as const))(
  'a large value of class %s arrives out of band',
  (_, kind) => {
    const sent = makeKind(kind, large + 8, 1);
    const { stored, got } = travel({ sent });
    expect(stored).toHaveLength(1);
    expectBytes(got.sent, sent);
  },
);

test('views of subclasses arrive as views of the class below them', () => {
  const Bytes = class extends Uint8Array {};
  const Floats = class extends Float64Array {};
  const { got } = travel([new Bytes(large), new Floats(large)] as const);
  expect(got.map((view) => view.constructor.name)).toEqual([
    'Uint8Array',
    'Float64Array',
  ]);
});

test('of a buffer, the part is stored that its views cover, from where any element may begin', () => {
  const { buffer } = pattern(1 << 20, 1);
  const [first, second] = [
    new Uint8Array(buffer, 100_003, large),
    new Uint32Array(buffer, 200_004, large / 4),
  ];
  const only = travel([first]);
  expect(only.stored).toEqual([
    { buffer, start: 100_003, end: 100_003 + large },
  ]);
  expectBytes(only.got[0], first);
  for (const value of [
    [first, second],
    [second, first],
  ]) {
    const { stored, got } = travel(value);
    expect(stored).toEqual([{ buffer, start: 100_000, end: 200_004 + large }]);
    for (const [i, view] of got.entries()) expectBytes(view, value[i]!);
    expect(got[0]!.buffer).toBe(got[1]!.buffer);
  }
});

test('a buffer that is a value itself is stored as a whole, wherever it stands', () => {
  const { buffer } = pattern(2 * large, 1);
  const view = new Uint8Array(buffer, 8, large);
  for (const value of [
    [view, buffer],
    [buffer, view],
    [new Map([[view, { error: new Error('m'), buffer }]])],
  ]) {
    const { stored } = travel(value);
    expect(stored).toEqual([{ buffer, start: 0, end: 2 * large }]);
  }
  const { got } = travel([view, buffer] as const);
  expect(got[0].buffer).toBe(got[1]);
});

test('V8 writes a value once when its buffers are near the top', () => {
  const write = jest.spyOn(DefaultSerializer.prototype, 'writeValue');
  const { buffer } = pattern(2 * large, 1);
  const { stored } = travel([[[{ of: { table: buffer } }, [buffer]]]]);
  expect(stored).toHaveLength(1);
  expect(write).toHaveBeenCalledTimes(1);
  write.mockRestore();
});

test('a buffer that is to be passed on leaves the bytes whatever its size', () => {
  const { buffer } = pattern(16, 1);
  alwaysOutOfBand.add(buffer as ArrayBuffer);
  for (const value of [buffer, new Uint8Array(buffer, 4, 2)]) {
    expect(travel([value]).stored).toHaveLength(1);
  }
});

test('buffers that can change their length stay, as do those of threads', () => {
  const beside = new OutOfBand();
  const Resizable = ArrayBuffer as unknown as new (
    length: number,
    options: { maxByteLength: number },
  ) => ArrayBuffer;
  const resizable = new Resizable(large, { maxByteLength: 2 * large });
  const shared = new SharedArrayBuffer(large);
  for (const buffer of [resizable, shared]) {
    expect(beside.add(new Uint8Array(buffer))).toBe(undefined);
    beside.note(buffer);
  }
  expect([beside.ranges, beside.hasMissed]).toEqual([[], false]);
});

test('the table has the places of all buffers', () => {
  const ranges = [0, 5, 2 ** 40].map((start) => ({
    ...{ buffer: new ArrayBuffer(8), start, end: start },
  }));
  const list = ranges.map((_, i) => ({
    ...{ kind: i, file: 2 * i, offset: 2 ** 50 + i, length: 7 ** i },
  }));
  const table = packTable(list, ranges);
  expect(table.length).toBe(tableLength(3));
  // The bytes of a message may stand anywhere in a buffer.
  const moved = Buffer.concat([Buffer.of(1), table]).subarray(1);
  expect(unpackTable(moved)).toEqual(
    list.map((place, i) => ({ ...place, start: ranges[i]!.start })),
  );
  expect(unpackTable(Buffer.alloc(0))).toEqual([]);
});

test.each([-1, 0.5, NaN, Infinity, 2 ** 53])(
  'a table with %d is refused',
  (number) => {
    for (let at = 0; at < 5; at++) {
      const table = packTable(
        [{ kind: 0, file: 0, offset: 0, length: 8 }],
        [{ buffer: new ArrayBuffer(8), start: 0, end: 8 }],
      );
      table.writeDoubleLE(number, 8 * at);
      expect(() => unpackTable(table)).toThrow('malformed: a place');
    }
  },
);

test('a message whose table is longer than its bytes is refused', () => {
  const { bytes } = travel(pattern(large, 1));
  expect(places(bytes)).toHaveLength(1);
  for (const count of [10, 2 ** 32 - 1]) {
    bytes.writeUInt32LE(count, 4);
    expect(() => places(bytes)).toThrow();
  }
});

test('a view outside of its buffer is refused, and so is an unknown type', () => {
  const buffer = new ArrayBuffer(64);
  const type = typeOfView(new Float64Array(1));
  expect(makeView(type, buffer, 8, 16)).toEqual(new Float64Array(2));
  for (const [offset, length] of [
    [-8, 8],
    [0, 72],
    [64, 8],
    [4, 8],
    [0, Infinity],
  ] as const) {
    expect(() => makeView(type, buffer, offset, length)).toThrow(RangeError);
  }
  for (const unknown of [-1, 14, 2 ** 32 - 1, 0.5]) {
    expect(() => makeView(unknown, buffer, 0, 8)).toThrow('unknown view');
  }
});

test('a message that names a buffer which has not arrived is refused', () => {
  const { bytes } = travel(pattern(large, 1));
  expect(() => decode(bytes, undefined, [])).toThrow(
    'malformed: a buffer out of band',
  );
});
