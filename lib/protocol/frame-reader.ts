// Reads frames: what a job reports, and then its outcome. A file with the large
// buffers of a frame comes along. Short reads are handled here.
import { type Arrivals, singleArrivals } from '../memory/arrivals.js';
import { mostEnclosures } from '../memory/enclosures.js';
import { mayBeSegment } from '../memory/segment.js';
import { check, errno, native } from '../system/binding.js';
import { Fd } from '../system/fd.js';
import { selector } from '../system/selector.js';
import { type Encoded, encodeThrown, ownedBytes } from '../wire/value.js';
import {
  type Frame,
  type ReportFrame,
  type ReportListener,
  type SentKind,
  type Times,
  headerBytes,
  kindBits,
  kinds,
} from './frame.js';

const kindMask = (1 << kindBits) - 1;

// The first byte of a report without large buffers.
const smallReport = kinds.indexOf('report');

const noBytes = Buffer.alloc(0);

// A buffer grows in steps of at least this, unless less is missing: memory is
// spent on bytes that arrive, not on the length that a header claims.
const stepBytes = 1 << 20;

// The most that one turn of the event loop reads from one socket.
const turnBytes = 8 << 20;

// Small frames are read together: a job may report a value each microsecond.
const incoming = Buffer.allocUnsafeSlow(16 << 10);

/** Reads one outcome from a non-blocking fd, over several calls if necessary. */
export class FrameReader {
  readonly #header = Buffer.alloc(headerBytes);
  #headerLength = 0;
  #kind: SentKind | undefined;
  readonly #files: Fd[] = [];
  #received: Int32Array | undefined;
  #length = 0;
  #bytes = noBytes;
  #arrived = 0;
  #hasLent = false;
  #times: Times | undefined;
  readonly #listener: ReportListener | undefined;
  #reports: ReportFrame[] | undefined;

  /** Whether the worker has sent `lends`. */
  get hasLent(): boolean {
    return this.#hasLent;
  }

  /** Behind an 'end': it was within a frame, or what came is none. */
  get isBroken(): boolean {
    return this.#headerLength > 0;
  }

  /** `listener` gets what is reported; by default, it is dropped. */
  constructor(listener?: ReportListener) {
    this.#listener = listener;
  }

  /**
   * The frame of the outcome; 'end' when the writer closed the socket before it was
   * complete; undefined while bytes are missing. `toEnd`: reads all that is there;
   * otherwise as much as a turn of the event loop has time for.
   */
  read(fd: number, toEnd = false): Frame | 'end' | undefined {
    const outcome = this.#readOutcome(fd, toEnd);
    const reports = this.#reports;
    this.#reports = undefined;
    if (reports !== undefined) this.#listener?.onReports(reports);
    return outcome;
  }

  #readOutcome(fd: number, toEnd: boolean): Frame | 'end' | undefined {
    for (let budget = turnBytes; budget > 0 || toEnd;) {
      const isLarge = this.#length - this.#arrived > incoming.length;
      const count = isLarge ? this.#readContent(fd) : this.#readFrames(fd);
      if (count === -errno.EAGAIN) return undefined;
      // A socket that cannot be read gives no result: the same as its end.
      if (count <= 0) return 'end';
      budget -= count;
      const frame = isLarge ? this.#whole() : this.#take(count);
      if (frame !== undefined) return frame;
      if (this.#reports !== undefined && !toEnd) return undefined;
    }
    return undefined;
  }

  #readFrames(fd: number): number {
    this.#received ??= new Int32Array(mostEnclosures);
    const count = native.receiveFds(fd, incoming, this.#received);
    if (this.#received[0]! >= 0) this.#keep(this.#received);
    return count;
  }

  #readContent(fd: number): number {
    this.#grow(1);
    const room = this.#bytes.length - this.#arrived;
    const count = native.read(fd, this.#bytes, this.#arrived, room);
    if (count > 0) this.#arrived += count;
    return count;
  }

  /** Takes the frames in `incoming`. */
  #take(end: number): Frame | 'end' | undefined {
    for (let at = 0; ;) {
      const missing = headerBytes - this.#headerLength;
      if (missing > 0) {
        const to = Math.min(end, at + missing);
        incoming.copy(this.#header, this.#headerLength, at, to);
        this.#headerLength += to - at;
        at = to;
        if (this.#headerLength < headerBytes) return undefined;
        this.#kind = kinds[this.#header[0]! & kindMask];
        // Not a frame of this library: other code wrote to the socket.
        if (this.#kind === undefined) return 'end';
        this.#length =
          this.#header.readUInt32LE(1) + this.#header.readUInt32LE(5) * 2 ** 32;
      }
      const rest = Math.min(end - at, this.#length - this.#arrived);
      if (this.#header[0] === smallReport && rest === this.#length) {
        // Most are texts, of which nothing is copied.
        const content = ownedBytes(incoming, at, at + rest);
        this.#addReport({ kind: 'report', content });
        this.#headerLength = 0;
        this.#length = 0;
        at += rest;
        continue;
      }
      this.#grow(rest);
      incoming.copy(this.#bytes, this.#arrived, at, at + rest);
      this.#arrived += rest;
      at += rest;
      const frame = this.#whole();
      if (frame !== undefined || this.#headerLength > 0) return frame;
    }
  }

  /** Ends a frame that is complete; its header is empty then. */
  #whole(): Frame | undefined {
    if (this.#arrived < this.#length) return undefined;
    const kind = this.#kind!;
    if (kind === 'lends') this.#hasLent = true;
    else if (kind === 'times') this.#times = timesOf(this.#bytes);
    else if (kind === 'report') this.#addReport(this.#frame(kind));
    else return { ...this.#frame(kind), times: this.#times };
    this.#headerLength = 0;
    this.#length = 0;
    this.#bytes = noBytes;
    this.#arrived = 0;
    return undefined;
  }

  #addReport(report: ReportFrame): void {
    (this.#reports ??= []).push(report);
  }

  #frame<K extends string>(kind: K): FrameOf<K> {
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

  /** Makes room for that many bytes at least. */
  #grow(more: number): void {
    if (this.#arrived + more <= this.#bytes.length) return;
    const size = Math.min(
      this.#length,
      Math.max(stepBytes, 2 * this.#bytes.length),
    );
    const grown = Buffer.allocUnsafeSlow(size);
    this.#bytes.copy(grown, 0, 0, this.#arrived);
    this.#bytes = grown;
  }
}

type FrameOf<K extends string> = Pick<Frame, 'content' | 'buffers'> & {
  readonly kind: K | 'error';
};

/**
 * A frame with its large buffers. Takes over the files. When they cannot be read,
 * a frame that says so.
 */
export function frameWith<K extends string>(
  kind: K,
  content: Encoded,
  files: readonly Fd[],
  arrivals: Arrivals,
): FrameOf<K> {
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
