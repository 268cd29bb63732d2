// One message over a pipe: a kind, a length, then that many bytes. Short reads
// and writes end here.
import { check, errno, native, pollEvents } from '../system/binding.js';

/** What a worker says: the value, what was thrown, or why it is about to end. */
export type FrameKind = 'value' | 'error' | 'lost';

export interface Frame {
  readonly kind: FrameKind;
  readonly bytes: Buffer;
}

const kinds: readonly FrameKind[] = ['value', 'error', 'lost'];
const headerBytes = 9;

// The largest step by which a buffer grows ahead of what has arrived: a length
// is a claim, and memory is only spent on bytes.
const stepBytes = 1 << 20;

// A turn of the event loop reads this much at most from one pipe.
const turnBytes = 8 << 20;

/** Writes one frame to a blocking fd. False when there is no reader any more. */
export function writeFrame(
  fd: number,
  kind: FrameKind,
  bytes: Buffer,
): boolean {
  const header = Buffer.alloc(headerBytes);
  header[0] = kinds.indexOf(kind);
  header.writeBigUInt64LE(BigInt(bytes.length), 1);
  const small = bytes.length <= 4096;
  return small
    ? writeAll(fd, Buffer.concat([header, bytes]))
    : writeAll(fd, header) && writeAll(fd, bytes);
}

/** Waits where fd does not block itself. False when there is no reader any more. */
export function writeAll(fd: number, bytes: Buffer): boolean {
  for (let offset = 0; offset < bytes.length;) {
    const count = native.write(fd, bytes, offset, bytes.length - offset);
    if (count >= 0) offset += count;
    else if (count !== -errno.EAGAIN) return false;
    else native.poll(Int32Array.of(fd, pollEvents.out), 1, -1);
  }
  return true;
}

/** Reads one frame from a non-blocking fd, in as many steps as it takes. */
export class FrameReader {
  readonly #header = Buffer.alloc(headerBytes);
  #headerLength = 0;
  #kind: FrameKind | undefined;
  #length = 0;
  #bytes = Buffer.alloc(0);
  #arrived = 0;

  /** The frame; 'end' when the writer is gone before it was whole; or undefined, not yet. */
  read(fd: number): Frame | 'end' | undefined {
    for (let budget = turnBytes; budget > 0;) {
      const count = this.#readSome(fd);
      if (count === -errno.EAGAIN) return undefined;
      // A pipe that cannot be read has no writer for us.
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
      // Not a frame of ours: somebody else wrote to the pipe.
      if (this.#kind === undefined) return 'end';
      this.#length = Number(this.#header.readBigUInt64LE(1));
    }
    if (this.#arrived < this.#length) return undefined;
    return { kind: this.#kind, bytes: this.#bytes };
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

/** Throws when fd is no pipe that can be made non-blocking. */
export function prepareReader(fd: number): void {
  check(native.setNonBlocking(fd, true), 'prepare the result pipe');
}
