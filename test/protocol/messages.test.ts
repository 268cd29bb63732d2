import { constants, fstatSync, ftruncateSync, writeSync } from 'node:fs';
import {
  type Message,
  MessageReader,
  MessageWriter,
  type OutgoingMessage,
  keep,
  openMessageSockets,
} from '../../dist/protocol/messages.js';
import { lostFd, native } from '../../dist/system/binding.js';
import { Fd } from '../../dist/system/fd.js';
import { checkLeaks } from '../helpers/leaks.js';
import { thrown } from '../helpers/thrown.js';

const onLinux = process.platform === 'linux';

describe('messages', () => {
  let own: Fd;
  let peer: Fd;
  let reader: MessageReader;
  let writer: MessageWriter;
  beforeEach(() => {
    ({ own, peer } = openMessageSockets());
    native.setNonBlocking(own.number, true);
    native.setNonBlocking(peer.number, true);
    reader = new MessageReader();
    writer = new MessageWriter();
  });
  afterEach(() => {
    own.close();
    peer.close();
    reader.close();
  });
  // Last, so that its check comes after the sockets are closed.
  checkLeaks();

  /** All that has arrived. */
  const receive = (): Message[] => {
    reader.fill(peer.number);
    const messages: Message[] = [];
    while (reader.hasNext) {
      const message = reader.next();
      if (message === undefined) continue;
      const { bytes } = message;
      messages.push({ ...message, bytes: bytes && Buffer.from(bytes) });
    }
    return messages;
  };

  const sendMessage = (
    socket: number,
    message: OutgoingMessage,
    waits: boolean,
  ): boolean => writer.send(socket, message, waits);

  const messageOf = (job: number, ...lengths: number[]): OutgoingMessage => ({
    kind: 7,
    job,
    parts: lengths.map((length) => Buffer.alloc(length, job)),
  });

  const header = (length: number): Buffer => {
    const bytes = Buffer.alloc(20);
    bytes.writeBigUInt64LE(BigInt(length), 0);
    return bytes;
  };

  test.each([0, 1, 4096, 4097, 100_000, 20 << 20])(
    'of %i bytes arrive whole',
    (length) => {
      expect(sendMessage(own.number, messageOf(1, length), false)).toBe(true);
      const [message] = receive();
      expect(message).toMatchObject({ kind: 7, job: 1 });
      expect(message!.bytes!.equals(Buffer.alloc(length, 1))).toBe(true);
    },
  );

  test('arrive in their order, large and small ones', () => {
    const lengths = [10, 5000, 20, 30, 100_000, 6000, 1];
    for (const [job, length] of lengths.entries()) {
      sendMessage(own.number, messageOf(job, length, 3), false);
    }
    const seen = receive().map(({ job, bytes }) => [job, bytes!.length]);
    expect(seen).toEqual(lengths.map((length, job) => [job, length + 3]));
  });

  test('may be sent at once', () => {
    const messages = [messageOf(1, 10), messageOf(2, 0), messageOf(3, 4000)];
    const lengths = messages.map((message) => writer.add(message));
    expect(lengths).toEqual([30, 20, 4020]);
    expect(receive()).toEqual([]);
    expect(writer.flush(own.number, false)).toBe(true);
    expect(receive().map(({ job }) => job)).toEqual([1, 2, 3]);
  });

  test('are kept while there is room, and follow those that are kept', () => {
    expect(writer.add(messageOf(1, 4097))).toBe(0);
    let count = 0;
    while (writer.add(messageOf(1, 4000)) > 0) count += 1;
    expect(count).toBe(16);
    const last = { kind: 7, job: 2, parts: ['é'.repeat(2000)] };
    expect(writer.send(own.number, last, false)).toBe(true);
    // More than the reader reads at once.
    const [first, ...rest] = [...receive(), ...receive()];
    expect(first!.bytes!.length).toBe(4000);
    expect(rest.length).toBe(count);
    expect(String(rest.at(-1)!.bytes)).toBe('é'.repeat(2000));
  });

  test('that are kept outlive the bytes of the reader', () => {
    const parts = ['"text"', Buffer.from([1, 2, 3])];
    for (const part of parts) writer.add({ kind: 0, job: 1, parts: [part] });
    writer.flush(own.number, false);
    reader.fill(peer.number);
    const kept = parts.map(() => {
      const message = reader.next()!;
      return keep(message.bytes!, message);
    });
    sendMessage(own.number, messageOf(9, 100), false);
    reader.fill(peer.number);
    expect(kept).toEqual(parts);
  });

  test('are read in parts', () => {
    const bytes = Buffer.concat([header(5), Buffer.from('hello')]);
    for (const byte of bytes) {
      expect(receive()).toEqual([]);
      native.write(own.number, Uint8Array.of(byte), 0, 1);
    }
    expect(String(receive()[0]!.bytes)).toBe('hello');
  });

  test('cannot be sent when nobody reads, or when the other end is closed', () => {
    let count = 0;
    while (sendMessage(own.number, messageOf(1, 4000), false)) count += 1;
    expect(count).toBeGreaterThan(0);
    peer.close();
    expect(sendMessage(own.number, messageOf(1, 10), true)).toBe(false);
  });

  test('end with the socket', () => {
    sendMessage(own.number, messageOf(1, 10), false);
    own.close();
    expect(receive()).toMatchObject([{ job: 1 }]);
    expect(reader.fill(peer.number)).toBe(false);
    expect(reader.next()).toBeUndefined();
  });

  test.each([2 ** 54, 2 ** 63])(
    'with a length of %d break the stream',
    (length) => {
      native.write(own.number, header(length), 0, 20);
      expect(receive()).toEqual([]);
      expect(reader.next()).toBeUndefined();
      expect(reader.isBroken).toBe(true);
      expect(reader.fill(peer.number)).toBe(false);
    },
  );

  test.each([5000, 2 ** 31])(
    'of %d bytes whose file is missing or too short have no bytes',
    (length) => {
      native.write(own.number, header(length), 0, 20);
      expect(receive()).toMatchObject([{ bytes: undefined }]);
      const file = native.anonymousFile();
      native.sealFile(file);
      native.sendFds(own.number, header(length), Int32Array.of(file));
      native.close(file);
      expect(receive()).toMatchObject([{ bytes: undefined }]);
    },
  );

  const others: Record<string, () => number> = {
    'a pipe': () => {
      const ends = new Int32Array(2);
      native.pipe(ends);
      native.close(ends[1]!);
      return ends[0]!;
    },
    'a file of the disk': () => native.open(__filename, constants.O_RDONLY),
    // Without seals, the check cannot know.
    ...(onLinux && {
      'a file that can still be changed': () => {
        const file = native.anonymousFile();
        native.write(file, Buffer.alloc(5000), 0, 5000);
        return file;
      },
    }),
  };

  test.each(Object.keys(others))('with %s break the stream', (name) => {
    const file = others[name]!();
    native.sendFds(own.number, header(5000), Int32Array.of(file));
    native.close(file);
    expect(receive()).toEqual([]);
    expect([reader.isBroken, reader.hasNext]).toEqual([true, false]);
  });

  (onLinux ? test : test.skip)(
    'have a file that nobody can change any more',
    () => {
      const errors: unknown[] = [];
      const seal = jest.spyOn(native, 'sealFile');
      seal.mockImplementation((fd) => {
        seal.mockRestore();
        const result = native.sealFile(fd);
        for (const change of [
          () => ftruncateSync(fd, 10),
          () => writeSync(fd, 'x', 0),
        ]) {
          errors.push(thrown(change));
        }
        return result;
      });
      sendMessage(own.number, messageOf(1, 5000), false);
      const refused = { code: 'EPERM' };
      expect(errors).toMatchObject([refused, refused]);
      expect(receive()[0]!.bytes!.equals(Buffer.alloc(5000, 1))).toBe(true);
    },
  );

  test('that have lost a file spoil no other', () => {
    const files = [1, 2, 3].map(() => new Fd(native.segmentFile(4096)));
    const [first, second, third] = files.map((file) => file.number);
    const send = (job: number, ...enclosures: number[]): void => {
      const message = { ...messageOf(job, 10), enclosures };
      expect(sendMessage(own.number, message, false)).toBe(true);
    };
    send(1, first!, second!);
    send(2, third!);
    const receiveFds = jest.spyOn(native, 'receiveFds');
    receiveFds.mockImplementationOnce((socket, bytes, fds) => {
      receiveFds.mockRestore();
      const length = native.receiveFds(socket, bytes, fds);
      for (const fd of fds) if (fd >= 0) native.close(fd);
      fds.fill(lostFd);
      return length;
    });
    const [one, two] = receive();
    expect(one!.enclosures.map(({ number }) => number)).toEqual([-1, -1]);
    const inodes = [third!, two!.enclosures[0]!.number].map(
      (fd) => fstatSync(fd).ino,
    );
    expect(inodes[1]).toBe(inodes[0]);
    for (const file of [...files, ...two!.enclosures]) file.close();
  });

  test('with too many files break the stream', () => {
    const file = native.segmentFile(4096);
    // Without a header, none of them is read.
    for (let i = 0; i < 70; i++) {
      native.sendFds(own.number, Uint8Array.of(0), Int32Array.of(file));
      reader.fill(peer.number);
    }
    native.close(file);
    expect(reader.isBroken).toBe(true);
  });
});
