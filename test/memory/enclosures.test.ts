import { markAsUntransferable } from 'node:worker_threads';
import { allocate, share } from '../../dist/memory/allocate.js';
import { Enclosures } from '../../dist/memory/enclosures.js';
import { isToMove, move } from '../../dist/memory/move.js';
import { pieceOf } from '../../dist/memory/pieces.js';
import { headBytes, readSegment } from '../../dist/memory/segment.js';
import { SegmentPool } from '../../dist/memory/segment-pool.js';
import { type BufferRange, placeKinds } from '../../dist/wire/value.js';
import { pattern } from '../fixtures/value-jobs.js';
import { checkLeaks } from '../helpers/leaks.js';
import { expectBytes } from '../helpers/views.js';
import { thrown } from '../helpers/thrown.js';

let enclosures: Enclosures;
afterEach(() => enclosures.end());
checkLeaks();
beforeEach(() => {
  enclosures = new Enclosures();
});

const mega = 1 << 20;
const page = 4096;

const bufferOf = (length: number, seed: number): ArrayBuffer =>
  pattern(length, seed).buffer as ArrayBuffer;

const rangeOf = (
  buffer: ArrayBuffer,
  start = 0,
  end = buffer.byteLength,
): BufferRange => ({ buffer, start, end });

function read(file: number, offset: number, length: number): Uint8Array {
  return new Uint8Array(readSegment(file, offset, length));
}

test('buffers lie in one file, at lines of the cache, and at pages if they are mapped', () => {
  const sizes = [40_000, mega, 33_000, mega + 1, 40_000];
  const buffers = sizes.map(bufferOf);
  const places = enclosures.note(buffers.map((buffer) => rangeOf(buffer)));
  enclosures.commit();
  const files = enclosures.send();
  expect(files).toHaveLength(1);
  let end = headBytes;
  for (const [i, { kind, file, offset, length }] of places.entries()) {
    expect([kind, file, length]).toEqual([placeKinds.copied, 0, sizes[i]]);
    expect(offset % (length >= mega ? page : 64)).toBe(0);
    expect(offset).toBeGreaterThanOrEqual(end);
    end = offset + length;
    expectBytes(read(files[0]!, offset, length), new Uint8Array(buffers[i]!));
  }
});

test('of a buffer, the part is written that the value needs', () => {
  const buffer = bufferOf(mega, 1);
  const [place] = enclosures.note([rangeOf(buffer, 100, 50_100)]);
  enclosures.commit();
  const [file] = enclosures.send();
  expect(place!.length).toBe(50_000);
  const expected = pattern(mega, 1).subarray(100, 50_100);
  expectBytes(read(file!, place!.offset, 50_000), expected);
});

test('a copy keeps what the owner changes afterwards', () => {
  const buffer = bufferOf(40_000, 1);
  const [place] = enclosures.note([rangeOf(buffer)]);
  enclosures.commit();
  enclosures.copy();
  new Uint8Array(buffer).fill(0);
  const [file] = enclosures.send();
  expectBytes(read(file!, place!.offset, 40_000), pattern(40_000, 1));
});

test('a second process gets what the first one got', () => {
  const pool = new SegmentPool();
  const buffer = bufferOf(40_000, 1);
  const [place] = enclosures.note([rangeOf(buffer)]);
  enclosures.commit();
  const [first] = enclosures.send(pool);
  new Uint8Array(buffer).fill(0);
  enclosures.copy();
  const [second] = enclosures.send();
  expect(second).not.toBe(first);
  expectBytes(read(second!, place!.offset, 40_000), pattern(40_000, 1));
  enclosures.end();
  pool.close();
});

test('an ordinary buffer that is moved is detached by commit, and copied into the file', () => {
  const buffer = move(bufferOf(40_000, 1));
  const view = new Uint8Array(buffer, 100, 10);
  const [place] = enclosures.note([rangeOf(buffer, 100, 110)]);
  expect([place!.kind, place!.length]).toEqual([placeKinds.copied, 40_000]);
  expect([buffer.byteLength, enclosures.hasMoved]).toEqual([40_000, false]);
  enclosures.commit();
  expect([buffer.byteLength, view.length]).toEqual([0, 0]);
  expect(enclosures.hasMoved).toBe(true);
  enclosures.copy();
  const [file] = enclosures.send();
  expectBytes(read(file!, place!.offset, 40_000), pattern(40_000, 1));
});

test('of an allocated buffer that is moved, the receiver gets the file', () => {
  const buffer = allocate(mega);
  new Uint8Array(buffer).set(pattern(mega, 1));
  const { file } = pieceOf(buffer)!;
  const [place, copied] = enclosures.note([
    rangeOf(move(buffer), 10, 20),
    rangeOf(bufferOf(40_000, 2)),
  ]);
  expect(place).toEqual({
    ...{ kind: placeKinds.moved, file: 0 },
    ...{ offset: headBytes, length: mega },
  });
  expect(copied!.kind).toBe(placeKinds.copied);
  enclosures.commit();
  expect(buffer.byteLength).toBe(0);
  expect(enclosures.send()).toEqual([file.number, expect.any(Number)]);
  expectBytes(read(file.number, place!.offset, mega), pattern(mega, 1));
  enclosures.end();
  expect(file.number).toBe(-1);
});

test('the sender keeps what is shared', () => {
  const [table, bytes] = [share(100), share(pattern(5000, 1))];
  const places = enclosures.note([rangeOf(table), rangeOf(bytes, 3, 4)]);
  expect(places).toMatchObject([
    { kind: placeKinds.shared, file: 0, length: 100 },
    { kind: placeKinds.constant, file: 1, length: 5000 },
  ]);
  enclosures.commit();
  const files = enclosures.send();
  enclosures.end();
  expect(files.map((file) => file >= 0)).toEqual([true, true]);
  expect([table.byteLength, bytes.byteLength]).toEqual([100, 5000]);
  expectBytes(read(files[1]!, places[1]!.offset, 5000), pattern(5000, 1));
});

// The types of Node lack WebAssembly.
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    Memory: new (size: { initial: number }) => { buffer: ArrayBuffer };
  };
};

const unmovable: [name: string, make: () => ArrayBuffer][] = [
  ['wasm memory', () => new WebAssembly.Memory({ initial: 1 }).buffer],
  ['the pool of Buffer', () => Buffer.from('text').buffer],
  [
    'a marked buffer',
    () => {
      const buffer = bufferOf(40_000, 1);
      markAsUntransferable(buffer);
      return buffer;
    },
  ],
  [
    'a marked buffer without bytes',
    () => {
      const buffer = new ArrayBuffer(0);
      markAsUntransferable(buffer);
      return buffer;
    },
  ],
];

test.each(unmovable)(
  'where %s is to be moved, nothing is detached, and others stay marked',
  (_, make) => {
    const others = [0, 10, 40_000].map((length) => move(bufferOf(length, 1)));
    const refused = move(make());
    const { byteLength } = refused;
    const [first, ...rest] = others;
    const all = [first!, refused, ...rest];
    enclosures.note(all.map((buffer) => rangeOf(buffer)));
    expect(thrown(() => enclosures.commit())).toMatchObject({
      name: 'DataCloneError',
    });
    const lengths = all.map((buffer) => buffer.byteLength);
    expect(lengths).toEqual([0, byteLength, 10, 40_000]);
    expect(all.map(isToMove)).toEqual([true, false, true, true]);
    enclosures = new Enclosures();
    enclosures.note(all.map((buffer) => rangeOf(buffer)));
    enclosures.commit();
    expect(rest.map((buffer) => buffer.byteLength)).toEqual([0, 0]);
    expect(refused.byteLength).toBe(byteLength);
  },
);

test('too many files are refused, and nothing is detached', () => {
  const ordinary = move(bufferOf(40_000, 1));
  const buffers = Array.from({ length: 31 }, () => move(allocate(mega)));
  enclosures.note([ordinary, ...buffers].map((buffer) => rangeOf(buffer)));
  expect(thrown(() => enclosures.commit())).toMatchObject({
    code: 'ERR_JOBSERVER_NOT_SERIALIZABLE',
  });
  const lengths = [ordinary, ...buffers].map(({ byteLength }) => byteLength);
  expect(Math.min(...lengths)).toBe(40_000);
});
