// Properties that hold for any input, tested with random input. A failure
// reports the seed and the smallest failing input.
import { constants } from 'node:fs';
import { serialize } from 'node:v8';
import fc from 'fast-check';
import { native } from '../dist/system/binding.js';
import { revise } from '../dist/protocol/environment.js';
import { openSocketPair } from '../dist/system/fd.js';
import { writeFrame } from '../dist/protocol/frame.js';
import { FrameReader, prepareReader } from '../dist/protocol/frame-reader.js';
import {
  MessageReader,
  MessageWriter,
  openMessageSockets,
} from '../dist/protocol/messages.js';
import { parseExportName } from '../dist/functions/url.js';
import { workerExecArgv } from '../dist/launch/exec-argv.js';
import { parseMakeflags } from '../dist/slots/make-flags.js';
import { SlotPipe } from '../dist/slots/slot-pipe.js';
import type { Token } from '../dist/slots/token.js';
import { PriorityQueue } from '../dist/executor/priority-queue.js';
import { Queue } from '../dist/system/queue.js';
import { decode, encode } from '../dist/wire/value.js';

const runs = { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 1000) };

/** Texts that contain the given parts among random ones. */
function textsOf(...parts: string[]): fc.Arbitrary<string> {
  const part = fc.oneof(fc.constantFrom(...parts), fc.string());
  return fc.array(part).map((all) => all.join(''));
}

/** The error that a call throws; undefined when it throws none. */
function errorOf(call: () => unknown): unknown {
  try {
    call();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Sends bytes through a pipe in pieces; returns what the reader returns. */
function readPieces(pieces: readonly Uint8Array[]): unknown {
  const pipe = openSocketPair('property');
  try {
    prepareReader(pipe.reader.number);
    const reader = new FrameReader();
    for (const piece of pieces) {
      native.write(pipe.writer.number, piece, 0, piece.length);
      const read = reader.read(pipe.reader.number);
      if (read !== undefined) return read;
    }
    pipe.writer.close();
    return reader.read(pipe.reader.number);
  } finally {
    pipe.reader.close();
    pipe.writer.close();
  }
}

function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const ends = places.map((place) => place % (bytes.length + 1));
  const all = [0, ...ends.sort((a, b) => a - b), bytes.length];
  return all.slice(1).map((end, i) => bytes.subarray(all[i], end));
}

/** The bytes that writeFrame writes for a frame. */
function frameBytes(kind: 'value' | 'error' | 'lost', body: Buffer): Buffer {
  const pipe = openSocketPair('property');
  try {
    writeFrame(pipe.writer.number, kind, body);
    const bytes = Buffer.alloc(body.length + 100);
    return bytes.subarray(
      0,
      native.read(pipe.reader.number, bytes, 0, bytes.length),
    );
  } finally {
    pipe.reader.close();
    pipe.writer.close();
  }
}

test('a frame arrives whole, however it is cut into pieces', () => {
  const kinds = fc.constantFrom('value', 'error', 'lost');
  const bodies = fc.uint8Array({ maxLength: 5000 });
  const places = fc.array(fc.nat(), { maxLength: 5 });
  fc.assert(
    fc.property(kinds, bodies, places, (kind, body, at) => {
      const bytes = frameBytes(kind, Buffer.from(body));
      const read = readPieces(cut(bytes, at));
      expect(read).toEqual({ kind, content: Buffer.from(body) });
    }),
    runs,
  );
});

test('any bytes are read as a frame or as the end', () => {
  const bytes = fc.uint8Array({ maxLength: 100 });
  const places = fc.array(fc.nat(), { maxLength: 5 });
  fc.assert(
    fc.property(bytes, places, (given, at) => {
      const read = readPieces(cut(given, at));
      if (read === 'end') return;
      const { bytes: body } = read as { bytes: Buffer };
      expect(body.length).toBeLessThan(given.length);
    }),
    runs,
  );
});

/** The bytes that the library sends for messages of these lengths. */
function messageBytes(lengths: readonly number[]): Buffer {
  const { own, peer } = openMessageSockets();
  try {
    const all = Buffer.alloc(1 << 20);
    const writer = new MessageWriter();
    let end = 0;
    for (const [i, length] of lengths.entries()) {
      const parts = [Buffer.alloc(length, i)];
      writer.send(own.number, { kind: i % 5, job: i + 1, parts }, true);
      // The file of a large message is closed here.
      end += native.read(peer.number, all, end, all.length - end);
    }
    return all.subarray(0, end);
  } finally {
    own.close();
    peer.close();
  }
}

const { O_RDONLY, O_RDWR, O_DIRECTORY } = constants;

/** What may come with a message instead of its file. */
function openAny(kind: number): number {
  switch (kind) {
    case 0:
      return native.open('/dev/null', O_RDWR);
    case 1:
      return native.open('/', O_RDONLY | O_DIRECTORY);
    case 2:
      return native.exitFd(process.pid);
    default:
      return native.anonymousFile();
  }
}

/** An fd that is not closed would change it. */
function lowestFreeFd(): number {
  const fd = native.open('/dev/null', O_RDONLY);
  native.close(fd);
  return fd;
}

test('any messages, with any descriptors, are read or break the stream', () => {
  const lengths = fc.array(fc.constantFrom(0, 10, 3000, 5000), {
    minLength: 1,
    maxLength: 5,
  });
  const changes = fc.array(fc.tuple(fc.nat(200), fc.nat(255)), {
    maxLength: 4,
  });
  const fds = fc.array(fc.nat(3), { maxLength: 4 });
  const pieces = fc.array(fc.tuple(fc.nat(), fds), { maxLength: 8 });
  fc.assert(
    fc.property(lengths, changes, pieces, (sizes, bytes, places) => {
      const before = lowestFreeFd();
      const sent = messageBytes(sizes);
      for (const [at, byte] of bytes) sent[at % sent.length] = byte;
      const { own, peer } = openMessageSockets();
      const reader = new MessageReader();
      native.setNonBlocking(peer.number, true);
      let steps = 0;
      const read = (): boolean => {
        const isOpen = reader.fill(peer.number);
        while (reader.next() !== undefined || reader.isReading) steps += 1;
        return isOpen;
      };
      const ends = places.map(([place]) => place % (sent.length + 1));
      const parts = cut(sent, ends).filter(({ length }) => length > 0);
      for (const [i, part] of parts.entries()) {
        const passed = Int32Array.from(places[i]?.[1] ?? [], openAny);
        native.sendFds(own.number, part, passed);
        for (const fd of passed) native.close(fd);
        read();
      }
      own.close();
      expect(read()).toBe(false);
      // A message has at least one byte.
      expect(steps).toBeLessThanOrEqual(sent.length);
      peer.close();
      reader.close();
      expect(lowestFreeFd()).toBe(before);
    }),
    runs,
  );
});

test('a decoded value equals a structured clone of the original', () => {
  const values = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withTypedArray: true,
    withSparseArray: true,
    withBoxedValues: true,
  });
  fc.assert(
    fc.property(values, (value) => {
      const copy = decode(encode(value, 'value'));
      // V8 writes an array in two ways, which depend on how it was made.
      const [bytes, expected] = [copy, structuredClone(value)].map((it) =>
        serialize(structuredClone(it)),
      );
      expect(bytes!.equals(expected!)).toBe(true);
    }),
    runs,
  );
});

test('any bytes are decoded, or refused with the same error code', () => {
  const code = 'ERR_JOBSERVER_NOT_RECONSTRUCTABLE';
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const error = errorOf(() => decode(bytes));
      if (error !== undefined) expect(error).toMatchObject({ code });
    }),
    runs,
  );
});

test('MAKEFLAGS may be any text, and fds in it are valid numbers', () => {
  const texts = textsOf(
    '--jobserver-auth=',
    '--jobserver-fds=',
    'fifo:',
    '3,4',
    '-j',
    '--',
    ' ',
    '\\',
    '-1,',
    '1e3',
  );
  fc.assert(
    fc.property(texts, (text) => {
      const style = parseMakeflags(text);
      if (style.kind !== 'pipe') return;
      for (const fd of [style.reader, style.writer]) {
        expect(Number.isInteger(fd) && fd >= 0).toBe(true);
      }
    }),
    runs,
  );
});

test('any string names an export, or is refused with an error code', () => {
  const texts = textsOf('#', '.', './', 'node:', 'fs', 'file://', '%2f');
  fc.assert(
    fc.property(texts, (text) => {
      const error = errorOf(() => parseExportName(text, 'fn'));
      if (error === undefined) return;
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_/) });
    }),
    runs,
  );
});

test('any variable is kept unchanged, or refused with an error code', () => {
  const names = fc.oneof(
    fc.string(),
    fc.constantFrom('A=', '', 'A\0', '__proto__'),
  );
  const values = fc.oneof(fc.string(), fc.constant(null), fc.anything());
  fc.assert(
    fc.property(names, values, (name, value) => {
      let revised: ReadonlyMap<string, string | null> | undefined;
      const error = errorOf(() => {
        revised = revise(new Map(), [[name, value]]);
      });
      if (error === undefined) {
        expect(revised?.get(name)).toBe(value ?? null);
        expect(name + String(value)).not.toContain('\0');
      } else {
        expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_/) });
      }
    }),
    runs,
  );
});

test('options that workers must not have are removed with their values', () => {
  const kept = fc.constantFrom(
    '--no-warnings',
    '--stack-size=900',
    '-r',
    'a.js',
  );
  const dropped = fc.constantFrom(
    ['-e', '1'],
    ['--inspect'],
    ['--test'],
    ['--title', 'x'],
    ['--watch-path=.'],
  );
  const lists = fc.array(
    fc.oneof(
      kept.map((each) => [each]),
      dropped,
    ),
  );
  fc.assert(
    fc.property(lists, (list) => {
      const isKept = (each: readonly string[]): boolean =>
        /^(--no-warnings|--stack-size=900|-r|a\.js)$/.test(each[0]!);
      expect(workerExecArgv(list.flat())).toEqual(list.filter(isKept).flat());
    }),
    runs,
  );
});

test('a pipe has as many tokens as slots, however it is resized', () => {
  const step = fc.oneof(
    fc.record({
      name: fc.constant('resize'),
      n: fc.integer({ min: 1, max: 9 }),
    }),
    fc.record({ name: fc.constantFrom('take', 'give'), n: fc.nat(20) }),
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.array(step),
      (first, steps) => {
        const slots = SlotPipe.open(first);
        const tokens: Token[] = [];
        const takeAll = (): number => {
          let free = 0;
          for (let token; (token = slots.tryTake()) !== undefined; free++) {
            tokens.push(token);
          }
          return free;
        };
        for (const { name, n } of steps) {
          if (name === 'resize') {
            slots.resize(n);
          } else if (name === 'give') {
            if (tokens.length > 0)
              tokens.splice(n % tokens.length, 1)[0]!.give();
          } else {
            const token = slots.tryTake();
            expect(token !== undefined).toBe(tokens.length < slots.count!);
            if (token !== undefined) tokens.push(token);
          }
          expect(slots.surplus).toBe(Math.max(0, tokens.length - slots.count!));
        }
        const taken = tokens.length;
        expect(takeAll()).toBe(Math.max(0, slots.count! - taken));
        for (const token of tokens) token.give();
        slots.close();
        expect(slots.reader).toBe(-1);
      },
    ),
    runs,
  );
});

test.each(['fifo', 'lifo'])(
  '%s queues return the same items as sorted lists',
  (order) => {
    const isLifo = order === 'lifo';
    const items = Array.from({ length: 9 }, (_, i) => ({ priority: i % 3 }));
    const item = fc.constantFrom(...items);
    const step = fc.oneof(
      fc.record({ name: fc.constantFrom('add', 'delete'), item }),
      fc.constant({ name: 'shift', item: items[0]! }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const queue = new Queue<object>();
        const priorities = new PriorityQueue<{ priority: number }>(isLifo);
        let list: { priority: number }[] = [];
        for (const { name, item: given } of steps) {
          const isIn = list.includes(given);
          if (name === 'add' && !isIn) {
            if (isLifo) {
              list.unshift(given);
              queue.addFirst(given);
            } else {
              list.push(given);
              queue.add(given);
            }
            priorities.add(given);
          } else if (name === 'delete') {
            expect([queue.delete(given), priorities.delete(given)]).toEqual([
              isIn,
              isIn,
            ]);
            list = list.filter((each) => each !== given);
          } else if (name === 'shift') {
            const highest = Math.max(...list.map(({ priority }) => priority));
            const first = list.find(({ priority }) => priority === highest);
            expect(queue.first).toBe(list[0]);
            expect(priorities.shift()).toBe(first);
            if (first !== undefined) queue.delete(first);
            list = list.filter((each) => each !== first);
          }
          expect([queue.size, priorities.size]).toEqual([
            list.length,
            list.length,
          ]);
        }
      }),
      runs,
    );
  },
);
