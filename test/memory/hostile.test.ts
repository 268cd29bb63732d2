// What a worker sends with its result may be anything: places of large buffers
// that it makes up, with files of any kind.
import { closeSync, ftruncateSync, openSync, readdirSync } from 'node:fs';
import { setImmediate as turnOfLoop } from 'node:timers/promises';
import fc from 'fast-check';
import { Arrivals, singleArrivals } from '../../dist/memory/arrivals.js';
import { Segment, headBytes } from '../../dist/memory/segment.js';
import { check, native } from '../../dist/system/binding.js';
import {
  Fd,
  duplicate,
  openPipe,
  openSocketPair,
} from '../../dist/system/fd.js';
import { bytesOf, decode, encode } from '../../dist/wire/value.js';
import { collectGarbage } from '../helpers/collect.js';
import { timeoutFactor, until } from '../helpers/until.js';

const runs = { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 1000) };
jest.setTimeout(120_000 * timeoutFactor);

const mega = 1 << 20;
const order = 21;
const filling = 0xab;

const own = (fd: number): Fd => new Fd(check(fd, 'open a file'));

function memory(size: number): Fd {
  const file = own(native.anonymousFile());
  ftruncateSync(file.number, size);
  return file;
}

/** A segment that has one byte everywhere. */
function sealed(): Fd {
  const segment = Segment.open(order);
  segment.write(Buffer.alloc(segment.size, filling), headBytes);
  segment.lend();
  const file = duplicate(segment.fd);
  segment.close();
  return file;
}

const onlyReader = ({ reader, writer }: ReturnType<typeof openPipe>): Fd => {
  writer.close();
  return reader;
};

const files = {
  sealed,
  tiny: () => own(native.segmentFile(10)),
  empty: () => own(native.segmentFile(0)),
  unsealed: () => memory(4 * mega),
  message: () => {
    const file = memory(mega);
    native.sealFile(file.number);
    return file;
  },
  constant: () => {
    const file = sealed();
    native.makeConstant(file.number);
    return file;
  },
  pipe: () => onlyReader(openPipe('test pipe')),
  socket: () => onlyReader(openSocketPair('test socket')),
  regular: () => {
    const fd = openSync(__filename, 'r');
    const file = duplicate(fd);
    closeSync(fd);
    return file;
  },
  zeros: () => own(native.open('/dev/zero', 0)),
  folder: () => own(native.open('/', 0)),
  none: () => new Fd(-1),
};
type Name = keyof typeof files | 'same';

const end = headBytes + 2 ** order;
const position = fc.oneof(
  fc.constantFrom(0, 1, 8, headBytes, mega, mega + headBytes, end - 8, end),
  fc.nat(end + 100),
  fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 47, 2 ** 53 - 1, -1, 0.5, NaN),
);
/** Mostly what could be true, because one false number spoils a message. */
const mostly = <T>(
  likely: fc.Arbitrary<T>,
  other: fc.Arbitrary<T>,
): fc.Arbitrary<T> =>
  fc.oneof({ weight: 12, arbitrary: likely }, { weight: 1, arbitrary: other });
const place = fc.record({
  kind: mostly(fc.nat(3), fc.constantFrom(4, 255, -1)),
  file: mostly(fc.nat(1), fc.constantFrom(2, 31, -1, 2 ** 40)),
  offset: mostly(fc.constantFrom(headBytes, 64 + headBytes, mega), position),
  length: mostly(fc.constantFrom(mega / 2, mega), position),
});
const name = mostly<Name>(
  fc.constantFrom('sealed', 'constant', 'same'),
  fc.constantFrom(...(Object.keys(files) as Name[])),
);
const message = fc.record({
  sendsAgain: fc.boolean(),
  mayMap: fc.boolean(),
  names: fc.array(name, { minLength: 1, maxLength: 4 }),
  places: fc.array(place, { minLength: 1, maxLength: 3 }),
  starts: mostly(
    fc.constant<number[]>([]),
    fc.array(position, { maxLength: 3 }),
  ),
  /** Of the views, in bytes. */
  shift: mostly(fc.constant(0), fc.constantFrom(8, -8)),
  count: mostly(
    fc.constant<number | undefined>(undefined),
    fc.constantFrom(0, 1, 5, 2 ** 32 - 1),
  ),
});

type Sent = typeof message extends fc.Arbitrary<infer T> ? T : never;

function openFiles(names: readonly Name[]): Fd[] {
  const opened: Fd[] = [];
  for (const name of names) {
    if (name !== 'same') opened.push(files[name]());
    else if (opened.length > 0 && opened[0]!.number >= 0)
      opened.push(duplicate(opened[0]!.number));
  }
  return opened;
}

function bytesFor({ places, starts, shift, count }: Sent): Buffer {
  const views = places.map(
    (_, i) => new Uint8Array(new ArrayBuffer(mega), 8 * i, mega / 2 + shift),
  );
  const bytes = Buffer.from(
    bytesOf(encode(views, 'value', undefined, () => places)),
  );
  for (const [i, start] of starts.slice(0, places.length).entries()) {
    const at = bytes.length - 40 * (places.length - i) + 32;
    bytes.writeDoubleLE(start, at);
  }
  if (count !== undefined) bytes.writeUInt32LE(count, 4);
  return bytes;
}

/** Reads everything; it may be a file that has just zeros. */
function expectOwnBytes(value: unknown): void {
  for (const view of value as Uint8Array[]) {
    const all = new Uint8Array(view.buffer);
    expect(all.length).toBeLessThanOrEqual(end);
    // The head comes first, where something else may stand.
    const allowed = (byte: number, i: number): boolean =>
      byte === 0 || byte === filling || (i < headBytes && byte <= 2);
    for (const i of [0, 1, 8, all.length >> 1, all.length - 1]) {
      if (i < all.length) expect(allowed(all[i]!, i)).toBe(true);
    }
    if (all.indexOf(1, headBytes) >= 0) throw new Error('Read something else');
  }
}

const countFds = (): number => readdirSync('/dev/fd').length;

test('whatever places and files a worker sends, its value has only bytes of these files, or it is refused', async () => {
  const before = countFds();
  let values = 0;
  await fc.assert(
    fc.asyncProperty(message, async (sent) => {
      const list = openFiles(sent.names);
      const arrivals = sent.sendsAgain ? new Arrivals(true) : singleArrivals;
      const bytes = bytesFor(sent);
      try {
        const [buffers] = arrivals.receive(list, [bytes], sent.mayMap);
        expectOwnBytes(decode(bytes, undefined, buffers));
        values += 1;
      } catch (error) {
        // Not of `expect`.
        expect(error).not.toHaveProperty('matcherResult');
        expect((error as Error).message).not.toBe('Read something else');
      }
      expect(list.every(({ number }) => number < 0)).toBe(true);
      arrivals.close();
      if (countFds() > before + 100) {
        await turnOfLoop();
        collectGarbage();
      }
    }),
    runs,
  );
  // Otherwise it would have tried nothing that is mapped.
  expect(values).toBeGreaterThan(runs.numRuns / 100);
  await until('no leaked descriptor', async () => {
    await turnOfLoop();
    collectGarbage();
    return countFds() <= before;
  });
});
