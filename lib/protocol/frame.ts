// One message over a socket: a kind, a length, then that many bytes. A file with
// its large buffers comes along. Short reads and writes are handled here.
import { type Arrivals, singleArrivals } from '../memory/arrivals.js';
import { mostEnclosures } from '../memory/enclosures.js';
import { mayBeSegment } from '../memory/segment.js';
import { check, errno, native } from '../system/binding.js';
import { Fd, sendAll, writeAll } from '../system/fd.js';
import { selector } from '../system/selector.js';
import { trace } from '../system/trace.js';
import {
  type ArrivedBuffer,
  type Encoded,
  bytesOf,
  encodeThrown,
} from '../wire/value.js';

/** What a worker reports: the value, what was thrown, or why it will end. */
export type FrameKind = 'value' | 'error' | 'lost';

export interface Frame {
  readonly kind: FrameKind;
  readonly content: Encoded;
  /** The large buffers of the content. */
  readonly buffers?: readonly ArrivedBuffer[] | undefined;
  readonly times?: Times | undefined;
}

/** Milliseconds that a job has taken, without those of its process. */
export interface Times {
  /** To import modules. */
  readonly load: number;
  readonly run: number;
}

/**
 * `lends`: the worker starts a job in its own slot, so another process will keep
 * the socket open. No outcome, and sent before it.
 */
export type MessageKind = FrameKind | 'lends';

/** `times`: what the job has taken. No outcome, and sent before it. */
type SentKind = MessageKind | 'times';

const kinds: readonly SentKind[] = ['value', 'error', 'lost', 'lends', 'times'];
const headerBytes = 9;

// The kind has these bits; the others, how many files come with the header.
const kindBits = 3;
const kindMask = (1 << kindBits) - 1;

// A buffer grows in steps of at least this, unless less is missing: memory is
// spent on bytes that arrive, not on the length that a header claims.
const stepBytes = 1 << 20;

// The most that one turn of the event loop reads from one socket.
const turnBytes = 8 << 20;

/**
 * Writes one frame. False when the other end is closed. `enclosures`: the files of
 * its large buffers, borrowed.
 */
export function writeFrame(
  fd: number,
  kind: SentKind,
  content: Encoded,
  enclosures: readonly number[] = [],
): boolean {
  const bytes = bytesOf(content);
  const header = Buffer.alloc(headerBytes);
  header[0] = kinds.indexOf(kind);
  header.writeBigUInt64LE(BigInt(bytes.length), 1);
  if (enclosures.length > 0) {
    header[0] |= enclosures.length << kindBits;
    const isSent = sendAll(fd, header, Int32Array.from(enclosures), true);
    return isSent && writeAll(fd, bytes) === 0;
  }
  const small = bytes.length <= 4096;
  return small
    ? writeAll(fd, Buffer.concat([header, bytes])) === 0
    : writeAll(fd, header) === 0 && writeAll(fd, bytes) === 0;
}

/** For the trace of the submitter, if this process has one too. */
export function writeTimes(fd: number, { load, run }: Times): void {
  if (!trace.enabled) return;
  writeFrame(fd, 'times', Buffer.from(Float64Array.of(load, run).buffer));
}

/** Reads one frame from a non-blocking fd, over several calls if necessary. */
export class FrameReader {
  readonly #header = Buffer.alloc(headerBytes);
  #headerLength = 0;
  #kind: SentKind | undefined;
  readonly #files: Fd[] = [];
  #received: Int32Array | undefined;
  #length = 0;
  #bytes = Buffer.alloc(0);
  #arrived = 0;
  #hasLent = false;
  #times: Times | undefined;

  /** Whether the worker has sent `lends`. */
  get hasLent(): boolean {
    return this.#hasLent;
  }

  /**
   * The frame; 'end' when the writer closed the socket before the frame was
   * complete; undefined while bytes are missing.
   */
  read(fd: number): Frame | 'end' | undefined {
    for (let budget = turnBytes; budget > 0;) {
      const count = this.#readSome(fd);
      if (count === -errno.EAGAIN) return undefined;
      // A socket that cannot be read gives no result: the same as its end.
      if (count <= 0) return 'end';
      budget -= count;
      const frame = this.#whole();
      if (frame !== undefined) return frame;
    }
    return undefined;
  }

  #readSome(fd: number): number {
    if (this.#headerLength < headerBytes) {
      const room = this.#header.subarray(this.#headerLength);
      this.#received ??= new Int32Array(mostEnclosures);
      const count = native.receiveFds(fd, room, this.#received);
      if (count > 0) this.#headerLength += count;
      if (this.#received[0]! >= 0) this.#keep(this.#received);
      return count;
    }
    this.#grow();
    const room = this.#bytes.length - this.#arrived;
    const count = native.read(fd, this.#bytes, this.#arrived, room);
    if (count > 0) this.#arrived += count;
    return count;
  }

  #whole(): Frame | 'end' | undefined {
    if (this.#headerLength < headerBytes) return undefined;
    if (this.#kind === undefined) {
      this.#kind = kinds[this.#header[0]! & kindMask];
      // Not a frame of this library: other code wrote to the socket.
      if (this.#kind === undefined) return 'end';
      this.#length = Number(this.#header.readBigUInt64LE(1));
    }
    if (this.#arrived < this.#length) return undefined;
    if (this.#kind === 'lends') this.#hasLent = true;
    else if (this.#kind === 'times') this.#times = timesOf(this.#bytes);
    else return { ...this.#frame(this.#kind), times: this.#times };
    this.#headerLength = 0;
    this.#kind = undefined;
    this.#bytes = Buffer.alloc(0);
    this.#arrived = 0;
    return undefined;
  }

  #frame(kind: FrameKind): Frame {
    const count = this.#header[0]! >> kindBits;
    const files = this.#files.splice(0, count);
    while (files.length < count) files.push(new Fd(-1));
    return frameWith(kind, this.#bytes, files, singleArrivals);
  }

  #keep(received: Int32Array): void {
    for (const file of received) {
      if (file < 0) return;
      const isOurs = this.#files.length < mostEnclosures && mayBeSegment(file);
      if (isOurs) this.#files.push(new Fd(file));
      else native.close(file);
    }
  }

  /** Closes what no frame has. */
  close(): void {
    for (const file of this.#files.splice(0)) file.close();
  }

  #grow(): void {
    if (this.#arrived < this.#bytes.length) return;
    const size = Math.min(
      this.#length,
      Math.max(stepBytes, 2 * this.#bytes.length),
    );
    const grown = Buffer.allocUnsafeSlow(size);
    this.#bytes.copy(grown, 0, 0, this.#arrived);
    this.#bytes = grown;
  }
}

/**
 * A frame with its large buffers. Takes over the files. When they cannot be read,
 * a frame that says so.
 */
export function frameWith(
  kind: FrameKind,
  content: Encoded,
  files: readonly Fd[],
  arrivals: Arrivals,
): Frame {
  if (files.length === 0) return { kind, content };
  try {
    const { isInLoop } = selector;
    const [buffers] = arrivals.receive(files, [content], isInLoop);
    return { kind, content, buffers };
  } catch (error) {
    return { kind: 'error', content: encodeThrown(error) };
  }
}

/** Undefined for what this library does not send. */
function timesOf(bytes: Buffer): Times | undefined {
  if (bytes.length !== 16) return undefined;
  return { load: bytes.readDoubleLE(0), run: bytes.readDoubleLE(8) };
}

/** Throws when the socket cannot be made non-blocking. */
export function prepareReader(fd: number): void {
  check(native.setNonBlocking(fd, true), 'prepare the result socket');
}
