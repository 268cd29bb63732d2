// Messages between a submitter and a worker that runs several jobs, over a pair
// of stream sockets. A message is a header and its bytes. More than a few bytes
// travel as an anonymous file instead, whose descriptor comes with the header:
// so a submitter never waits for a worker that does not read.
import { constants } from 'node:buffer';
import { check, errno, native, pollEvents } from '../system/binding.js';
import { Fd, writeAll } from '../system/fd.js';

export interface Message {
  /** What the two sides have agreed on. */
  readonly kind: number;
  /** The number of the job; 0: of none. */
  readonly job: number;
  /** Undefined when the file of a large message could not be received. */
  readonly bytes: Buffer | undefined;
}

// The length as a double, then kind and job.
const headerBytes = 16;

/** Larger messages travel as files. A socket of macOS holds 8 KiB. */
export const mostInline = 4096;

const bufferBytes = 64 << 10;

// More files without a header are not from this library.
const mostFiles = 64;

// The most that one call of `next` reads from a file.
const stepBytes = 8 << 20;

/** Makes the pair: `own` is the end of the submitter. */
export function openMessageSockets(): { own: Fd; peer: Fd } {
  const ends = new Int32Array(2);
  check(native.socketpair(ends, false), 'open the socket of a worker');
  return { own: new Fd(ends[0]!), peer: new Fd(ends[1]!) };
}

/** A message in parts, so that a large one is not copied. */
export interface OutgoingMessage extends Pick<Message, 'kind' | 'job'> {
  readonly parts: readonly Buffer[];
}

export function lengthOf({ parts }: OutgoingMessage): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

function headerOf({ kind, job }: OutgoingMessage, length: number): Buffer {
  const header = Buffer.allocUnsafe(headerBytes);
  header.writeDoubleLE(length, 0);
  header.writeInt32LE(kind, 8);
  header.writeInt32LE(job, 12);
  return header;
}

/** Sends small messages at once, as `sendMessage` does without waiting. */
export function sendSmall(
  socket: number,
  messages: readonly OutgoingMessage[],
): boolean {
  const parts = messages.flatMap((message) => [
    headerOf(message, lengthOf(message)),
    ...message.parts,
  ]);
  return send(socket, Buffer.concat(parts), -1, false);
}

/**
 * Sends a message. Waits for room in the socket if `waits`; otherwise false
 * when there is none, and nothing may be sent after that. Also false when the
 * other side is gone.
 */
export function sendMessage(
  socket: number,
  message: OutgoingMessage,
  waits: boolean,
): boolean {
  const { parts } = message;
  const length = lengthOf(message);
  const header = headerOf(message, length);
  if (length <= mostInline) {
    return send(socket, Buffer.concat([header, ...parts]), -1, waits);
  }
  const file = new Fd(check(native.anonymousFile(), 'open a message'));
  try {
    for (const part of parts) {
      check(writeAll(file.number, part), 'write a message');
    }
    return send(socket, header, file.number, waits);
  } finally {
    file.close();
  }
}

const noFds = new Int32Array(0);

function send(
  socket: number,
  bytes: Uint8Array,
  file: number,
  waits: boolean,
): boolean {
  let fds = file < 0 ? noFds : Int32Array.of(file);
  for (let rest = bytes; rest.length > 0;) {
    const count = native.sendFds(socket, rest, fds);
    if (count >= 0) {
      rest = rest.subarray(count);
      // The file came with the first byte.
      fds = noFds;
    } else if (count === -errno.EAGAIN && waits) {
      native.poll(Int32Array.of(socket, pollEvents.out), 1, -1);
    } else {
      return false;
    }
  }
  return true;
}

/** Receives messages, in parts if necessary. */
export class MessageReader {
  readonly #buffer = Buffer.allocUnsafeSlow(bufferBytes);
  #start = 0;
  #end = 0;
  /** Files that have arrived and whose headers are still to be read. */
  readonly #files: number[] = [];
  #isBroken = false;
  #file: MessageFile | undefined;

  /** Whether `next` has to be called again, although nothing may arrive. */
  get isReading(): boolean {
    return this.#file !== undefined;
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
      const fds = Int32Array.of(-1);
      const count = native.receiveFds(socket, room, fds);
      if (count === -errno.EAGAIN) return true;
      if (count <= 0) return false;
      this.#end += count;
      const [file] = fds as unknown as [number];
      if (file >= 0) this.#isBroken = this.#files.push(file) > mostFiles;
      // The kernel has no more. It also stops at a file.
      else if (count < room.length) return true;
    }
    return !this.#isBroken;
  }

  /** Whether `next` has a message, or has to be called again for one. */
  get hasNext(): boolean {
    if (this.#file !== undefined) return true;
    const size = this.#end - this.#start;
    if (this.#isBroken || size < headerBytes) return false;
    const length = this.#buffer.readDoubleLE(this.#start);
    return length > mostInline || size >= headerBytes + length;
  }

  /** The next message that has been read completely. */
  next(): Message | undefined {
    if (this.#file !== undefined) return this.#readFile(this.#file);
    if (this.#isBroken || this.#end - this.#start < headerBytes) {
      return undefined;
    }
    const length = this.#buffer.readDoubleLE(this.#start);
    const kind = this.#buffer.readInt32LE(this.#start + 8);
    const job = this.#buffer.readInt32LE(this.#start + 12);
    if (!(length >= 0 && length <= constants.MAX_LENGTH)) {
      this.#isBroken = true;
      return undefined;
    }
    const isInline = length <= mostInline;
    const size = headerBytes + (isInline ? length : 0);
    if (this.#end - this.#start < size) return undefined;
    const from = this.#start + headerBytes;
    this.#start += size;
    if (isInline) {
      const bytes = copyOf(this.#buffer.subarray(from, this.#start));
      return { kind, job, bytes };
    }
    const fd = this.#files.shift();
    if (fd === undefined) return { kind, job, bytes: undefined };
    this.#file = new MessageFile(fd, length, { kind, job });
    return this.#readFile(this.#file);
  }

  #readFile(file: MessageFile): Message | undefined {
    const message = file.read();
    if (message === undefined) return undefined;
    this.#file = undefined;
    file.close();
    return message;
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
    for (const file of this.#files.splice(0)) native.close(file);
  }
}

/** With memory of its own, because values that are decoded are views of it. */
function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}

function tryAllocate(length: number): Buffer | undefined {
  try {
    return Buffer.allocUnsafeSlow(length);
  } catch {
    return undefined;
  }
}

/** The bytes of one message. */
class MessageFile {
  readonly #fd: number;
  /** Undefined when there is no memory for the length that was claimed. */
  readonly #bytes: Buffer | undefined;
  readonly #message: Omit<Message, 'bytes'>;
  #offset = 0;

  /** Takes over the fd. */
  constructor(fd: number, length: number, message: Omit<Message, 'bytes'>) {
    this.#fd = fd;
    this.#bytes = tryAllocate(length);
    this.#message = message;
  }

  /** Reads a part; undefined while it is not the last one. */
  read(): Message | undefined {
    const bytes = this.#bytes;
    if (bytes === undefined) return { ...this.#message, bytes };
    const offset = this.#offset;
    const length = Math.min(stepBytes, bytes.length - offset);
    // By position, because the writer left the file offset at the end.
    const count = native.readAt(this.#fd, bytes, offset, length, offset);
    if (count <= 0) return { ...this.#message, bytes: undefined };
    this.#offset += count;
    if (this.#offset < bytes.length) return undefined;
    return { ...this.#message, bytes };
  }

  close(): void {
    native.close(this.#fd);
  }
}
