// Messages between a submitter and a worker that runs several jobs, over a pair
// of stream sockets. A message is a header and its content. More than a few bytes
// travel as an anonymous file instead, whose descriptor comes with the header:
// so a submitter never waits for a worker that does not read.
import { constants } from 'node:buffer';
import { check, errno, native, noFd } from '../system/binding.js';
import { mostEnclosures } from '../memory/enclosures.js';
import { mayBeSegment } from '../memory/segment.js';
import { Fd, noFds, openSocketPair, sendAll, writeAll } from '../system/fd.js';
import { type Encoded, bytesOf, ownedBytes } from '../wire/value.js';
import { MessageFile } from './message-file.js';

export interface Message {
  /** What the two sides have agreed on. */
  readonly kind: number;
  /** The number of the job; 0: of none. */
  readonly job: number;
  /** How many microseconds the job has run, as its worker says. */
  readonly runTime: number;
  /** Undefined when the file of a large message could not be received. */
  readonly bytes: Buffer | undefined;
  /** The bytes are valid until the next call of `fill`. */
  readonly isBorrowed: boolean;
  /** The files of its large buffers: the receiver owns them. */
  readonly enclosures: readonly Fd[];
}

/** A message in parts, so that a large one is not copied. */
export interface OutgoingMessage extends Pick<Message, 'kind' | 'job'> {
  readonly runTime?: number;
  readonly parts: readonly Encoded[];
  /** The files of its large buffers; borrowed. */
  readonly enclosures?: readonly number[] | undefined;
}

// Five words: the length, which takes two, kind, job and time.
const headerBytes = 20;

/** Larger messages travel as files. A socket of macOS holds 8 KiB. */
export const mostInline = 4096;

// In the kind, how many files of large buffers come along.
const enclosuresShift = 16;
const enclosuresMask = 0xff << enclosuresShift;

const bufferBytes = 64 << 10;

// More files without a header are not from this library.
const mostFiles = 64;

// A large message may have enclosures, and the streams of a job.
const mostFilesOfMessage = 1 + mostEnclosures + 2;

/** Makes the pair: `own` is the end of the submitter. */
export function openMessageSockets(): { own: Fd; peer: Fd } {
  const { reader, writer } = openSocketPair('the socket of a worker');
  return { own: reader, peer: writer };
}

/** Sends messages; small ones are kept, so that many are sent at once. */
export class MessageWriter {
  readonly #buffer = Buffer.allocUnsafeSlow(bufferBytes);
  #end = 0;

  /**
   * Keeps a message until `flush`. The number of its bytes; 0 when it is too
   * large or has enclosures, or no room is left.
   */
  add(message: OutgoingMessage): number {
    return message.enclosures === undefined ? this.#append(message) : 0;
  }

  #append(message: OutgoingMessage): number {
    const from = this.#end;
    let end = from + headerBytes;
    const limit = Math.min(end + mostInline, this.#buffer.length);
    for (const part of message.parts) {
      const room = limit - end;
      if (part.length > room) return 0;
      if (typeof part !== 'string') {
        end += part.copy(this.#buffer, end);
        continue;
      }
      // UTF-8 has up to three bytes for a character.
      if (3 * part.length > room && Buffer.byteLength(part) > room) return 0;
      end += this.#buffer.write(part, end);
    }
    this.#writeHeader(from, end - from - headerBytes, message);
    this.#end = end;
    return end - from;
  }

  /**
   * Sends what has been added. Waits for room in the socket if `waits`;
   * otherwise false when there is none, and nothing may be sent after that. Also
   * false when the other side is gone.
   */
  flush(socket: number, waits: boolean): boolean {
    return this.#flush(socket, noFds, waits);
  }

  #flush(socket: number, files: Int32Array, waits: boolean): boolean {
    if (this.#end === 0) return true;
    const bytes = this.#buffer.subarray(0, this.#end);
    this.#end = 0;
    return sendAll(socket, bytes, files, waits);
  }

  /**
   * Sends the messages that `add` has kept, then this one, which may be large.
   * Returns what `flush` returns. Throws when the file of a large message cannot
   * be written.
   */
  send(socket: number, message: OutgoingMessage, waits: boolean): boolean {
    if (this.add(message) > 0) return this.flush(socket, waits);
    if (!this.flush(socket, waits)) return false;
    return this.#append(message) > 0
      ? this.#flush(socket, Int32Array.from(message.enclosures ?? []), waits)
      : this.#sendFile(socket, message, waits);
  }

  #sendFile(socket: number, message: OutgoingMessage, waits: boolean): boolean {
    const parts = message.parts.map(bytesOf);
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const file = new Fd(check(native.anonymousFile(), 'open a message'));
    try {
      for (const part of parts) {
        check(writeAll(file.number, part), 'write a message');
      }
      check(native.sealFile(file.number), 'seal a message');
      this.#writeHeader(0, length, message);
      const header = this.#buffer.subarray(0, headerBytes);
      const files = [file.number, ...(message.enclosures ?? [])];
      return sendAll(socket, header, Int32Array.from(files), waits);
    } finally {
      file.close();
    }
  }

  #writeHeader(
    at: number,
    length: number,
    { kind, job, runTime = 0, enclosures }: OutgoingMessage,
  ): void {
    const count = (enclosures?.length ?? 0) << enclosuresShift;
    this.#buffer.writeUInt32LE(length >>> 0, at);
    this.#buffer.writeUInt32LE(Math.floor(length / 2 ** 32), at + 4);
    this.#buffer.writeInt32LE(kind | count, at + 8);
    this.#buffer.writeInt32LE(job, at + 12);
    this.#buffer.writeUInt32LE(runTime >>> 0, at + 16);
  }
}

const noFiles: readonly Fd[] = [];

/** Receives messages, in parts if necessary. */
export class MessageReader {
  readonly #buffer = Buffer.allocUnsafeSlow(bufferBytes);
  #start = 0;
  #end = 0;
  /** The files of each message that has some and is still to be read. */
  readonly #files: number[][] = [];
  readonly #received = new Int32Array(mostFilesOfMessage);
  #isBroken = false;
  #file: MessageFile | undefined;
  readonly #mayBeOurs: (file: number) => boolean;

  /** `mayBeOurs`: whether the other side can have sent such a file. */
  constructor(mayBeOurs: (file: number) => boolean = mayBeSegment) {
    this.#mayBeOurs = mayBeOurs;
  }

  /** Whether `next` has to be called again, although nothing may arrive. */
  get isReading(): boolean {
    return this.#file !== undefined;
  }

  /** Whether the last call of `fill` may have left something. */
  get isFull(): boolean {
    return this.#end === this.#buffer.length;
  }

  /** Whether it has read what this library does not send. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /**
   * Reads what the socket has, until the buffer is full. False at the end of
   * the stream, and when it is broken.
   */
  fill(socket: number): boolean {
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    while (!this.#isBroken && this.#end < this.#buffer.length) {
      const room = this.#buffer.subarray(this.#end);
      const count = native.receiveFds(socket, room, this.#received);
      if (count === -errno.EAGAIN) return true;
      if (count <= 0) return false;
      this.#end += count;
      if (this.#received[0] !== noFd) this.#isBroken = !this.#keepFiles();
      // The kernel has no more. It also stops at files.
      else if (count < room.length) return true;
    }
    return !this.#isBroken;
  }

  /**
   * Keeps the files of one message, or none where some were lost. False for files
   * that this library does not send.
   */
  #keepFiles(): boolean {
    const files = [...this.#received].filter((file) => file >= 0);
    this.#files.push(files);
    const areOurs =
      files.every(this.#mayBeOurs) && this.#files.flat().length <= mostFiles;
    if (!areOurs) this.#closeFiles();
    return areOurs;
  }

  #closeFiles(): void {
    for (const file of this.#files.splice(0).flat()) native.close(file);
  }

  /** Whether `next` has a message, or has to be called again for one. */
  get hasNext(): boolean {
    if (this.#file !== undefined) return true;
    const size = this.#end - this.#start;
    if (this.#isBroken || size < headerBytes) return false;
    const length = this.#nextLength();
    return length > mostInline || size >= headerBytes + length;
  }

  /** The next message that has been read completely. */
  next(): Message | undefined {
    if (this.#file !== undefined) return this.#readFile(this.#file);
    const start = this.#start;
    const size = this.#end - start;
    if (this.#isBroken || size < headerBytes) return undefined;
    const length = this.#nextLength();
    if (length > constants.MAX_LENGTH) {
      this.#isBroken = true;
      return undefined;
    }
    const isInline = length <= mostInline;
    const from = start + headerBytes;
    const end = isInline ? from + length : from;
    if (end > this.#end) return undefined;
    this.#start = end;
    const flags = this.#buffer.readInt32LE(start + 8);
    const kind = flags & ~enclosuresMask;
    const job = this.#buffer.readInt32LE(start + 12);
    const runTime = this.#buffer.readUInt32LE(start + 16);
    const count = (flags & enclosuresMask) >>> enclosuresShift;
    if (isInline) {
      const bytes = this.#buffer.subarray(from, end);
      const enclosures = this.#takeFiles(count);
      return { kind, job, runTime, bytes, isBorrowed: true, enclosures };
    }
    const files = this.#takeFiles(1 + count);
    const [file, ...enclosures] = files as [Fd, ...Fd[]];
    const rest = { kind, job, runTime, isBorrowed: false, enclosures };
    if (file.number < 0) return { ...rest, bytes: undefined };
    // A job may have sent a pipe, or a file that makes its readers wait.
    if (native.checkSealed(file.number) < 0) {
      for (const each of files) each.close();
      this.#isBroken = true;
      return undefined;
    }
    this.#file = new MessageFile(file.disown(), length, rest);
    return this.#readFile(this.#file);
  }

  /** The files of the message that is read; below 0 where they were lost. */
  #takeFiles(count: number): readonly Fd[] {
    if (count === 0) return noFiles;
    const files = this.#files.shift() ?? [];
    for (const other of files.splice(count)) native.close(other);
    return Array.from({ length: count }, (_, i) => new Fd(files[i] ?? -1));
  }

  #nextLength(): number {
    const start = this.#start;
    return (
      this.#buffer.readUInt32LE(start) +
      this.#buffer.readUInt32LE(start + 4) * 2 ** 32
    );
  }

  #readFile(file: MessageFile): Message | undefined {
    const message = file.read();
    if (message === undefined) return undefined;
    this.#file = undefined;
    file.close();
    return message;
  }

  close(): void {
    this.#file?.drop();
    this.#file = undefined;
    this.#closeFiles();
  }
}

/** Bytes of a message, for use after the next call of `fill`. */
export function keep(bytes: Buffer, { isBorrowed }: Message): Encoded {
  return isBorrowed ? ownedBytes(bytes) : bytes;
}
