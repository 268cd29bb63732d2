import { setImmediate as turnOfLoop } from 'node:timers/promises';
import { allocate, share } from '../../dist/memory/allocate.js';
import { Arrivals } from '../../dist/memory/arrivals.js';
import { Enclosures } from '../../dist/memory/enclosures.js';
import { move } from '../../dist/memory/move.js';
import { isMapped } from '../../dist/memory/pieces.js';
import { headBytes, orderFor } from '../../dist/memory/segment.js';
import { SegmentPool } from '../../dist/memory/segment-pool.js';
import { type MemoryUse, sharedMemory } from '../../dist/memory/usage.js';
import { duplicate } from '../../dist/system/fd.js';
import { decode, encode } from '../../dist/wire/value.js';
import { pattern } from '../fixtures/value-jobs.js';
import { collectGarbage } from '../helpers/collect.js';
import { checkLeaks } from '../helpers/leaks.js';
import { thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';
import { expectBytes } from '../helpers/views.js';

const mega = 1 << 20;
const mapped = mega + headBytes;
const usual = 256 * mega;
const nothing: MemoryUse = { bytes: 0, count: 0 };
// macOS maps only what is shared.
const onLinux = process.platform === 'linux' ? test : test.skip;

async function untilUnused(): Promise<void> {
  await until('all to be collected', async () => {
    await turnOfLoop();
    collectGarbage();
    const { received, allocated, shared } = sharedMemory;
    return received.count + allocated.count + shared.count === 0;
  });
}

checkLeaks();
beforeEach(untilUnused);
afterEach(() => {
  sharedMemory.limit = usual;
});

/** Sends a value and receives it, as between two processes. */
function pass<T>(value: T, pool: SegmentPool, arrivals: Arrivals): T {
  const enclosures = new Enclosures();
  const encoded = encode(value, 'value', undefined, (ranges) =>
    enclosures.note(ranges),
  );
  enclosures.commit();
  const files = enclosures.send(pool).map((fd) => duplicate(fd));
  const [buffers] = arrivals.receive(files, [encoded], true);
  enclosures.end();
  return decode(Buffer.from(encoded), undefined, buffers) as T;
}

test('the limit is 256 MiB, and can be any number of bytes', () => {
  expect(sharedMemory.limit).toBe(usual);
  for (const limit of [0, 1, 2 ** 40, 0.5, Infinity]) {
    sharedMemory.limit = limit;
    expect(sharedMemory.limit).toBe(limit);
  }
});

test.each([
  [-1, 'ERR_OUT_OF_RANGE'],
  [NaN, 'ERR_OUT_OF_RANGE'],
  ['1', 'ERR_INVALID_ARG_TYPE'],
  [null, 'ERR_INVALID_ARG_TYPE'],
  [undefined, 'ERR_INVALID_ARG_TYPE'],
  [1n, 'ERR_INVALID_ARG_TYPE'],
])('a limit of %s is refused by name', (limit, code) => {
  const error = thrown(() => (sharedMemory.limit = limit as number));
  expect(error).toMatchObject({ code });
  expect((error as Error).message).toContain('`limit`');
  expect(sharedMemory.limit).toBe(usual);
});

test('a name that sharedMemory does not have, and a number, cannot be set', () => {
  const memory = sharedMemory as unknown as Record<string, unknown>;
  expect(() => (memory['limits'] = 5)).toThrow(TypeError);
  expect(() => (memory['received'] = nothing)).toThrow(TypeError);
});

onLinux('what is allocated counts until it has been collected', async () => {
  let buffers: ArrayBuffer[] = [allocate(mega), allocate(mega + 1)];
  expect(sharedMemory.allocated).toEqual({
    bytes: mapped + mapped + headBytes,
    count: 2,
  });
  expect(allocate(mega - 1).byteLength).toBe(mega - 1);
  expect(sharedMemory.allocated.count).toBe(2);
  expect(buffers.map(({ byteLength }) => byteLength)).toEqual([mega, mega + 1]);
  buffers = [];
  await untilUnused();
  expect(sharedMemory.allocated).toEqual(nothing);
});

test('what is shared counts once, and has no limit', () => {
  sharedMemory.limit = 0;
  const table = share(mega);
  const pool = new SegmentPool();
  const arrivals = new Arrivals(true);
  expect(pass(table, pool, arrivals)).toBe(table);
  expect(sharedMemory.shared).toEqual({ bytes: mapped, count: 1 });
  expect(sharedMemory.received).toEqual(nothing);
});

onLinux('what was received, and what a pool keeps, counts', () => {
  const pool = new SegmentPool();
  const arrivals = new Arrivals(true);
  const got = pass(pattern(mega, 1), pool, arrivals);
  expect(sharedMemory.received).toEqual({ bytes: mapped, count: 1 });
  expect(sharedMemory.pooled).toEqual({ bytes: mega, count: 1 });
  const moved = pass(move(allocate(mega)), pool, arrivals);
  expect(sharedMemory.received).toEqual({ bytes: 2 * mapped, count: 2 });
  pool.close();
  expect(sharedMemory.pooled).toEqual(nothing);
  arrivals.close();
  expect(sharedMemory.received.count).toBe(2);
  expect([got.byteLength, moved.byteLength]).toEqual([mega, mega]);
});

test('with a limit of 0, everything is copied, and nothing is kept', () => {
  sharedMemory.limit = 0;
  const pool = new SegmentPool();
  const arrivals = new Arrivals(true);
  const allocated = allocate(2 * mega);
  expect([allocated.byteLength, isMapped(allocated)]).toEqual([
    2 * mega,
    false,
  ]);
  new Uint8Array(allocated).set(pattern(mega, 1));
  const value = [pattern(mega, 2), new Uint8Array(move(allocated))];
  const [copied, moved] = pass(value, pool, arrivals);
  expect(allocated.byteLength).toBe(0);
  expectBytes(copied, pattern(mega, 2));
  expectBytes(moved!.subarray(0, mega), pattern(mega, 1));
  const { received, pooled } = sharedMemory;
  expect([sharedMemory.allocated, received, pooled]).toEqual(
    Array(3).fill(nothing),
  );
  pool.close();
  arrivals.close();
});

onLinux('a buffer that was moved is copied beyond the limit', () => {
  const pool = new SegmentPool();
  const arrivals = new Arrivals(true);
  const buffer = allocate(mega);
  new Uint8Array(buffer).set(pattern(mega, 1));
  sharedMemory.limit = mapped;
  // The sender of this process has let its mapping go, once collected.
  const got = pass(move(buffer), pool, arrivals);
  expectBytes(new Uint8Array(got), pattern(mega, 1));
  expect(isMapped(got)).toBe(false);
  pool.close();
  arrivals.close();
});

onLinux('a loop that allocates without end stays within the limit', () => {
  sharedMemory.limit = 40 * mega;
  const kinds = Array.from({ length: 1000 }, () =>
    isMapped(allocate(8 * mega)),
  );
  expect(kinds.filter((each) => each).length).toBe(4);
  expect(sharedMemory.allocated.bytes).toBe(4 * (8 * mega + headBytes));
});

onLinux('allocate stops mapping at 1,024 mappings', () => {
  sharedMemory.limit = Infinity;
  const buffers = Array.from({ length: 3000 }, () => allocate(mega));
  expect(buffers.filter(isMapped).length).toBe(1024);
  expect(sharedMemory.allocated.count).toBe(1024);
});

onLinux('what no buffer uses makes room for what does', async () => {
  const pool = new SegmentPool();
  const arrivals = new Arrivals(true);
  const largest = orderFor(headBytes + 8 * mega);
  pass(pattern(8 * mega, 1), pool, arrivals);
  const { received } = sharedMemory;
  expect(received).toEqual({ bytes: 2 ** largest + headBytes, count: 1 });
  sharedMemory.limit = received.bytes;
  expect(isMapped(allocate(mega))).toBe(false);
  await until('the buffer to be collected', async () => {
    await turnOfLoop();
    collectGarbage();
    return isMapped(allocate(mega));
  });
  expect(sharedMemory.received).toEqual(nothing);
  pool.close();
  arrivals.close();
});
