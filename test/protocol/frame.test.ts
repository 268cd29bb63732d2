import { openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '../../dist/system/binding.js';
import { Fd, type Pipe, openSocketPair } from '../../dist/system/fd.js';
import {
  type Frame,
  type FrameKind,
  writeFrame,
} from '../../dist/protocol/frame.js';
import {
  FrameReader,
  prepareReader,
} from '../../dist/protocol/frame-reader.js';
import { checkLeaks } from '../helpers/leaks.js';
import { thrown } from '../helpers/thrown.js';

let pipe: Pipe;
afterEach(() => {
  pipe.reader.close();
  pipe.writer.close();
});
checkLeaks();
beforeEach(() => {
  pipe = openSocketPair('test pipe');
  prepareReader(pipe.reader.number);
});

function send(bytes: Uint8Array): void {
  const { number } = pipe.writer;
  expect(native.write(number, bytes, 0, bytes.length)).toBe(bytes.length);
}

function header(kind: number, length: bigint): Buffer {
  const bytes = Buffer.alloc(9);
  bytes[0] = kind;
  bytes.writeBigUInt64LE(length, 1);
  return bytes;
}

const kinds: FrameKind[] = ['value', 'error', 'lost'];

test.each(kinds)('a frame of kind %s arrives as it was sent', (kind) => {
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.from('x'),
    Buffer.alloc(4097, 7),
  ]) {
    expect(writeFrame(pipe.writer.number, kind, bytes)).toBe(true);
    const frame = new FrameReader().read(pipe.reader.number);
    expect(frame).toEqual({ kind, content: bytes });
  }
});

test('an empty frame is not confused with the end of the pipe', () => {
  const reader = new FrameReader();
  expect(reader.read(pipe.reader.number)).toBe(undefined);
  writeFrame(pipe.writer.number, 'value', Buffer.alloc(0));
  pipe.writer.close();
  expect(reader.read(pipe.reader.number)).toMatchObject({ kind: 'value' });
  expect(new FrameReader().read(pipe.reader.number)).toBe('end');
});

test('a worker may say what its job has taken, before the frame', () => {
  const { reader: from, writer: to } = pipe;
  const read = (): unknown => new FrameReader().read(from.number);
  const times = { load: 1.5, run: 20 };
  const { load, run } = times;
  const bytes = Buffer.from(Float64Array.of(load, run).buffer);
  for (const [sent, received] of [
    [bytes, times],
    [bytes.subarray(1), undefined],
  ] as const) {
    writeFrame(to.number, 'times', sent);
    writeFrame(to.number, 'value', Buffer.from('abc'));
    expect(read()).toMatchObject({ kind: 'value', times: received });
  }
});

test('a worker may say that it lends its slot, before the frame', () => {
  const reader = new FrameReader();
  const { reader: from, writer: to } = pipe;
  expect([reader.read(from.number), reader.hasLent]).toEqual([
    undefined,
    false,
  ]);
  writeFrame(to.number, 'lends', Buffer.alloc(0));
  expect([reader.read(from.number), reader.hasLent]).toEqual([undefined, true]);
  writeFrame(to.number, 'value', Buffer.from('abc'));
  const frame = reader.read(from.number) as Frame;
  expect([frame.kind, frame.content.toString()]).toEqual(['value', 'abc']);
});

test('a frame may arrive byte by byte', () => {
  const reader = new FrameReader();
  const whole = Buffer.concat([header(1, 3n), Buffer.from('abc')]);
  for (const [i, byte] of whole.entries()) {
    expect(reader.read(pipe.reader.number)).toBe(undefined);
    send(Uint8Array.of(byte));
    if (i < whole.length - 1) continue;
    const frame = reader.read(pipe.reader.number) as Frame;
    expect([frame.kind, frame.content.toString()]).toEqual(['error', 'abc']);
  }
});

test('an incomplete frame is reported as the end', () => {
  const whole = Buffer.concat([header(0, 3n), Buffer.from('abc')]);
  for (let length = 0; length < whole.length; length++) {
    const { reader, writer } = openSocketPair('broken pipe');
    prepareReader(reader.number);
    native.write(writer.number, whole, 0, length);
    writer.close();
    expect(new FrameReader().read(reader.number)).toBe('end');
    reader.close();
  }
});

test('bytes that are not a frame are reported as the end', () => {
  send(Buffer.from('not a frame at all'));
  expect(new FrameReader().read(pipe.reader.number)).toBe('end');
});

test('an fd that cannot be read is reported as the end', () => {
  expect(new FrameReader().read(-1)).toBe('end');
});

test('a header that claims a huge length allocates no such memory', () => {
  const { arrayBuffers } = process.memoryUsage();
  send(header(0, 1n << 60n));
  send(Buffer.from('a few bytes'));
  const reader = new FrameReader();
  expect(reader.read(pipe.reader.number)).toBe(undefined);
  expect(process.memoryUsage().arrayBuffers - arrayBuffers).toBeLessThan(
    16 << 20,
  );
  pipe.writer.close();
  expect(reader.read(pipe.reader.number)).toBe('end');
});

test('writing returns false when the reader is closed, for any length', () => {
  pipe.reader.close();
  for (const length of [0, 10, 100_000]) {
    const bytes = Buffer.alloc(length);
    expect(writeFrame(pipe.writer.number, 'value', bytes)).toBe(false);
  }
  pipe.writer.close();
  expect(writeFrame(-1, 'value', Buffer.alloc(1))).toBe(false);
});

describe('a large frame', () => {
  const file = join(tmpdir(), `frame-${process.pid}`);
  afterAll(() => rmSync(file, { force: true }));

  test('is read in several steps, so that other readers get their turn', () => {
    writeFileSync(file, '');
    const length = 20 << 20;
    const bytes = Buffer.alloc(length);
    for (let i = 0; i < length; i += 4096) bytes.writeInt32LE(i, i);
    const writer = new Fd(openSync(file, 'w'));
    expect(writeFrame(writer.number, 'value', bytes)).toBe(true);
    writer.close();
    expect(readFileSync(file).length).toBe(9 + length);

    const source = new Fd(openSync(file, 'r'));
    const reader = new FrameReader();
    let steps = 0;
    let frame: Frame | 'end' | undefined;
    // Only the header has to come from a socket.
    const head = Buffer.alloc(9);
    native.read(source.number, head, 0, head.length);
    send(head);
    expect(reader.read(pipe.reader.number)).toBe(undefined);
    while (frame === undefined) {
      frame = reader.read(source.number);
      steps += 1;
    }
    source.close();
    expect(steps).toBeGreaterThan(1);
    expect(bytes.equals((frame as Frame).content as Buffer)).toBe(true);
  });

  test('may be longer than the pipe', () => {
    const bytes = Buffer.alloc(300_000, 'abc');
    const whole = Buffer.concat([header(0, BigInt(bytes.length)), bytes]);
    const { number } = pipe.writer;
    native.setNonBlocking(number, true);
    const reader = new FrameReader();
    let frame: Frame | 'end' | undefined;
    for (let offset = 0; offset < whole.length;) {
      expect(frame).toBe(undefined);
      const left = whole.length - offset;
      offset += native.write(number, whole, offset, left);
      frame = reader.read(pipe.reader.number);
    }
    expect(bytes.equals((frame as Frame).content as Buffer)).toBe(true);
  });
});

test('an fd that is not open is refused', () => {
  expect(thrown(() => prepareReader(-1))).toMatchObject({ code: 'EBADF' });
});
