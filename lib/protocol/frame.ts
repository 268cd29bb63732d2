// One message over a pipe: a kind, a length, then that many bytes. Short reads
// and writes are handled here.
import { check, errno, native } from '../system/binding.js';
import { writeAll } from '../system/fd.js';
import { trace } from '../system/trace.js';
import { type Encoded, bytesOf } from '../wire/value.js';

/** What a worker reports: the value, what was thrown, or why it will end. */
export type FrameKind = 'value' | 'error' | 'lost';

export interface Frame {
  readonly kind: FrameKind;
  readonly content: Encoded;
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
 * the pipe open. No outcome, and sent before it.
 */
export type MessageKind = FrameKind | 'lends';

/** `times`: what the job has taken. No outcome, and sent before it. */
type PipeKind = MessageKind | 'times';

const kinds: readonly PipeKind[] = ['value', 'error', 'lost', 'lends', 'times'];
const headerBytes = 9;

// A buffer grows in steps of at least this, unless less is missing: memory is
// spent on bytes that arrive, not on the length that a header claims.
const stepBytes = 1 << 20;

// The most that one turn of the event loop reads from one pipe.
const turnBytes = 8 << 20;

/** Writes one frame. False when the pipe has no reader. */
export function writeFrame(
  fd: number,
  kind: PipeKind,
  content: Encoded,
): boolean {
  const bytes = bytesOf(content);
  const header = Buffer.alloc(headerBytes);
  header[0] = kinds.indexOf(kind);
  header.writeBigUInt64LE(BigInt(bytes.length), 1);
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
  #kind: PipeKind | undefined;
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
   * The frame; 'end' when the writer closed the pipe before the frame was
   * complete; undefined while bytes are missing.
   */
  read(fd: number): Frame | 'end' | undefined {
    for (let budget = turnBytes; budget > 0;) {
      const count = this.#readSome(fd);
      if (count === -errno.EAGAIN) return undefined;
      // A pipe that cannot be read gives no result: the same as its end.
      if (count <= 0) return 'end';
      budget -= count;
      const frame = this.#whole();
      if (frame !== undefined) return frame;
    }
    return undefined;
  }

  #readSome(fd: number): number {
    if (this.#headerLength < headerBytes) {
      const missing = headerBytes - this.#headerLength;
      const count = native.read(fd, this.#header, this.#headerLength, missing);
      if (count > 0) this.#headerLength += count;
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
      this.#kind = kinds[this.#header[0]!];
      // Not a frame of this library: other code wrote to the pipe.
      if (this.#kind === undefined) return 'end';
      this.#length = Number(this.#header.readBigUInt64LE(1));
    }
    if (this.#arrived < this.#length) return undefined;
    if (this.#kind === 'lends') this.#hasLent = true;
    else if (this.#kind === 'times') this.#times = timesOf(this.#bytes);
    else {
      return { kind: this.#kind, content: this.#bytes, times: this.#times };
    }
    this.#headerLength = 0;
    this.#kind = undefined;
    this.#bytes = Buffer.alloc(0);
    this.#arrived = 0;
    return undefined;
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

/** Undefined for what this library does not send. */
function timesOf(bytes: Buffer): Times | undefined {
  if (bytes.length !== 16) return undefined;
  return { load: bytes.readDoubleLE(0), run: bytes.readDoubleLE(8) };
}

/** Throws when the pipe cannot be made non-blocking. */
export function prepareReader(fd: number): void {
  check(native.setNonBlocking(fd, true), 'prepare the result pipe');
}
