import { ftruncateSync } from 'node:fs';
import { setImmediate as turnOfLoop } from 'node:timers/promises';
import { allocate, share } from '../../dist/memory/allocate.js';
import { Arrivals } from '../../dist/memory/arrivals.js';
import { Enclosures } from '../../dist/memory/enclosures.js';
import { move } from '../../dist/memory/move.js';
import { sharedMemory } from '../../dist/memory/usage.js';
import { pieceOf } from '../../dist/memory/pieces.js';
import {
  Segment,
  headBytes,
  keepTaken,
  orderFor,
} from '../../dist/memory/segment.js';
import { check, native } from '../../dist/system/binding.js';
import { Fd, duplicate, openPipe } from '../../dist/system/fd.js';
import {
  type Encoded,
  type Place,
  decode,
  encode,
  placeKinds,
} from '../../dist/wire/value.js';
import { pattern } from '../fixtures/value-jobs.js';
import { collectGarbage } from '../helpers/collect.js';
import { checkLeaks } from '../helpers/leaks.js';
import { until } from '../helpers/until.js';
import { expectBytes } from '../helpers/views.js';

const mega = 1 << 20;

let arrivals: Arrivals;
let segment: Segment;
afterEach(() => {
  arrivals.close();
  segment.close();
});
checkLeaks();
beforeEach(() => {
  arrivals = new Arrivals(true);
  segment = Segment.open(orderFor(headBytes + 4 * mega));
});

/** A message whose buffers lie in the segment, one behind the other. */
function send(buffers: readonly Uint8Array[]): Encoded {
  let end = headBytes;
  const store = (ranges: readonly { buffer: ArrayBuffer }[]): Place[] =>
    ranges.map(({ buffer }) => {
      const { byteLength: length } = buffer;
      const place = { kind: placeKinds.copied, file: 0, offset: end, length };
      segment.write(new Uint8Array(buffer), end);
      end += Math.ceil(length / headBytes) * headBytes;
      return place;
    });
  const encoded = encode(buffers, 'value', undefined, store);
  segment.lend();
  return encoded;
}

function receive(
  encoded: Encoded,
  { mayMap = true, files = [duplicate(segment.fd)], from = arrivals } = {},
): Uint8Array[] {
  const [buffers] = from.receive(files, [encoded], mayMap);
  expect(files.map(({ number }) => number)).toEqual(files.map(() => -1));
  return decode(Buffer.from(encoded), undefined, buffers) as Uint8Array[];
}

const mapped = (): number => {
  const { received, allocated } = sharedMemory;
  return received.count + allocated.count;
};

async function untilCollected(what: () => boolean): Promise<void> {
  await until('buffers to be collected', async () => {
    await turnOfLoop();
    collectGarbage();
    return what();
  });
}

test('small buffers are copied, and their segment is given back at once', () => {
  const before = mapped();
  const sent = [pattern(40_000, 1), pattern(mega - 1, 2)];
  const got = receive(send(sent));
  expect(segment.isReturned).toBe(true);
  segment.write(new Uint8Array(2 * mega), headBytes);
  for (const [i, bytes] of got.entries()) expectBytes(bytes, sent[i]!);
  expect(mapped()).toBe(before);
});

test('a large buffer is mapped, and its segment is lent until it has been collected', async () => {
  let got: Uint8Array[] | undefined = receive(send([pattern(mega, 1)]));
  expect(segment.isReturned).toBe(false);
  // The same memory, so that the sender must not write to it.
  segment.write(Uint8Array.of(99), headBytes);
  expect(got[0]![0]).toBe(99);
  expect(pieceOf(got[0]!.buffer as ArrayBuffer)).toMatchObject({
    isBorrowed: true,
    length: mega,
  });
  await turnOfLoop();
  collectGarbage();
  expect(segment.isReturned).toBe(false);
  got = undefined;
  await untilCollected(() => segment.isReturned);
});

test('where no event loop runs, large buffers are copied, too', () => {
  const before = mapped();
  const [got] = receive(send([pattern(mega, 1)]), { mayMap: false });
  expect(segment.isReturned).toBe(true);
  segment.write(new Uint8Array(mega), headBytes);
  expectBytes(got, pattern(mega, 1));
  expect(mapped()).toBe(before);
});

test('a segment that comes again is mapped once', async () => {
  await untilCollected(() => mapped() === 0);
  const first = receive(send([pattern(mega, 1)]));
  const second = receive(send([pattern(mega, 2)]));
  expect(mapped()).toBe(1);
  expectBytes(second[0], pattern(mega, 2));
  expect(first[0]![0]).toBe(second[0]![0]);
  arrivals.close();
  expectBytes(second[0], pattern(mega, 2));
});

test('the segment of a single message is unmapped with its buffers', async () => {
  await untilCollected(() => mapped() === 0);
  const from = new Arrivals(false);
  let got: Uint8Array[] | undefined = receive(send([pattern(mega, 1)]), {
    from,
  });
  expectBytes(got[0], pattern(mega, 1));
  expect(mapped()).toBe(1);
  got = undefined;
  await untilCollected(() => mapped() === 0);
});

test('a segment of which a part was passed on is not given back with the rest', async () => {
  let got: Uint8Array[] | undefined = receive(
    send([pattern(mega, 1), pattern(mega, 2)]),
  );
  const moved = new Enclosures();
  const range = { buffer: move(got[0]!.buffer as ArrayBuffer) };
  moved.note([{ ...range, start: 0, end: mega }]);
  moved.commit();
  const [file] = moved.send();
  expect(got[0]!.length).toBe(0);
  // A process that refuses the call, which another one gets then.
  arrivals.refuse([duplicate(file!)]);
  const other = new WeakRef(got[1]!.buffer);
  got = undefined;
  await untilCollected(() => other.deref() === undefined);
  await turnOfLoop();
  expect([segment.isReturned, segment.isTaken]).toEqual([false, true]);
  moved.end();
});

test('a call that nobody gets gives its segment back', () => {
  send([pattern(mega, 1)]);
  arrivals.refuse([duplicate(segment.fd)]);
  expect(segment.isReturned).toBe(true);
  keepTaken(segment.fd);
  arrivals.refuse([duplicate(segment.fd)]);
  expect(segment.isTaken).toBe(true);
});

test.each([
  ['more than the file has', { length: 5 * mega }],
  ['a place behind the end of the file', { offset: 8 * mega }],
  ['more than there can be', { length: Number.MAX_SAFE_INTEGER }],
  ['a place that is not aligned', { offset: headBytes + 1 }],
])('a message that claims %s is refused', (_, claim) => {
  for (const kind of [placeKinds.copied, placeKinds.moved, placeKinds.shared]) {
    for (const length of [mega, 40_000]) {
      const place = { kind, file: 0, offset: headBytes, length, ...claim };
      const encoded = encode(pattern(mega, 1), 'value', undefined, () => [
        place,
      ]);
      // What is copied may begin anywhere.
      if (place.offset % 8 > 0 && kind === 0 && length < mega) continue;
      expect(() => receive(encoded)).toThrow(/truncated|length|aligned/);
    }
  }
});

const openFile = (size: number): Fd => {
  const file = new Fd(check(native.anonymousFile(), 'open a file'));
  ftruncateSync(file.number, size);
  return file;
};
const openReader = (): Fd => {
  const { reader, writer } = openPipe('test pipe');
  writer.close();
  return reader;
};

test.each([
  ['a file that can become shorter', () => openFile(4 * mega)],
  ['an empty file', () => openFile(0)],
  ['a pipe', openReader],
  ['no file', () => new Fd(-1)],
])('%s instead of a segment is refused', (_, open) => {
  for (const kind of Object.values(placeKinds)) {
    const place = { kind, file: 0, offset: headBytes, length: mega };
    const encoded = encode(pattern(mega, 1), 'value', undefined, () => [place]);
    expect(() => receive(encoded, { files: [open()] })).toThrow();
  }
});

test('a message with too few files is refused', () => {
  for (const kind of Object.values(placeKinds)) {
    const place = { kind, file: 2, offset: headBytes, length: mega };
    const encoded = encode(pattern(mega, 1), 'value', undefined, () => [place]);
    expect(() => receive(encoded, { files: [] })).toThrow('is missing');
  }
});

test('what is shared arrives as the buffer that this process has', () => {
  const table = share(pattern(5000, 1));
  const enclosures = new Enclosures();
  const encoded = encode(
    [new Uint8Array(table)],
    'value',
    undefined,
    (ranges) => enclosures.note(ranges),
  );
  const files = enclosures.send().map((file) => duplicate(file));
  const [got] = receive(encoded, { files });
  expect(got!.buffer).toBe(table);
  enclosures.end();
});

test('what is moved arrives in the memory of the sender', () => {
  const buffer = allocate(mega);
  const bytes = new Uint8Array(buffer);
  bytes.set(pattern(mega, 1));
  const enclosures = new Enclosures();
  const encoded = encode([move(bytes)], 'value', undefined, (ranges) =>
    enclosures.note(ranges),
  );
  enclosures.commit();
  const [file] = enclosures.send();
  const files = [duplicate(file!)];
  const [got] = receive(encoded, { files });
  expectBytes(got, pattern(mega, 1));
  native.writeAt(file!, Uint8Array.of(5), 0, 1, headBytes);
  expect(got![0]).toBe(5);
  enclosures.end();
});
