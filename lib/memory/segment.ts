// A segment: a sealed anonymous file with large buffers of a call or result. Its
// sender writes into it; its receiver maps it, or reads from it. The first page is
// the head. The first word of the head is 1 while the segment is lent: the
// receiver sets it to 0 when it needs the bytes no longer.
import { check, native } from '../system/binding.js';
import { Fd, readAllAt, writeAllAt } from '../system/fd.js';

export const pageBytes = 4096;

/** The size of the head. */
export const headBytes = pageBytes;

/** What the first word of the head says. */
const states = {
  returned: 0,
  lent: 1,
  /** The receiver has passed the memory on, for good. */
  taken: 2,
} as const;

const word = new Uint8Array(4);

const smallestOrder = 16;

/** Of a segment that has room up to `end`, a position in the file. */
export function orderFor(end: number): number {
  return Math.max(smallestOrder, Math.ceil(Math.log2(end - headBytes)));
}

export class Segment {
  readonly #file: Fd;
  /** The binary logarithm of the size without the head. */
  readonly order: number;

  private constructor(file: Fd, order: number) {
    this.#file = file;
    this.order = order;
  }

  /** Throws when the kernel has no room. */
  static open(order: number): Segment {
    const size = headBytes + 2 ** order;
    const fd = check(native.segmentFile(size), 'open a segment');
    return new Segment(new Fd(fd), order);
  }

  /** In bytes, without the head. */
  get size(): number {
    return 2 ** this.order;
  }

  /** Borrowed. */
  get fd(): number {
    return this.#file.number;
  }

  /** Throws when the kernel has no room. */
  write(bytes: Uint8Array, position: number): void {
    check(writeAllAt(this.fd, bytes, position), 'write to a segment');
  }

  read(position: number, length: number): Uint8Array {
    return new Uint8Array(readSegment(this.fd, position, length));
  }

  lend(): void {
    word.fill(0)[0] = states.lent;
    this.write(word, 0);
  }

  /** Whether its receiver needs it no longer. */
  get isReturned(): boolean {
    return this.#state === states.returned;
  }

  /** Whether its receiver keeps it. */
  get isTaken(): boolean {
    return this.#state === states.taken;
  }

  get #state(): number | undefined {
    return stateOf(this.fd);
  }

  close(): void {
    this.#file.close();
  }
}

/**
 * Whether a file that was received may be one of this library. A process closes any
 * other file at once. It may be the sender's end of the socket between the two: kept
 * open here, the socket would not show that the sender has ended.
 */
export function mayBeSegment(fd: number): boolean {
  return native.inspectSegment(fd, new Float64Array(3)) >= 0;
}

/**
 * In the receiver: the sender may use the segment again, unless a part of it has
 * been passed on.
 */
export function giveBack(fd: number): void {
  // A segment whose head cannot be written stays lent.
  if (stateOf(fd) === states.lent) writeState(fd, states.returned);
}

/** In the receiver: the sender never gets the memory back. */
export function keepTaken(fd: number): void {
  writeState(fd, states.taken);
}

function stateOf(fd: number): number | undefined {
  return native.readAt(fd, word, 0, 4, 0) === 4 ? word[0] : undefined;
}

function writeState(fd: number, state: number): void {
  word.fill(0)[0] = state;
  native.writeAt(fd, word, 0, 4, 0);
}

/** Throws at the end of the file. */
export function readSegment(
  fd: number,
  offset: number,
  length: number,
): ArrayBuffer {
  const bytes = new Uint8Array(length);
  const count = check(readAllAt(fd, bytes, offset), 'read a segment');
  if (count < length) throw new Error('A segment is truncated');
  return bytes.buffer;
}

export interface Inspected {
  /** Of the file, while it is open or mapped. */
  readonly id: string;
  readonly size: number;
  /** Nobody can make it shorter, which would end who has mapped it. */
  readonly isSealed: boolean;
}

/** Throws for no segment. */
export function inspect(fd: number): Inspected {
  const numbers = new Float64Array(3);
  const result = native.inspectSegment(fd, numbers);
  const isSealed = check(result, 'open large buffers') === 1;
  const [inode, size, device] = numbers as unknown as [number, number, number];
  return { id: `${device}:${inode}`, size, isSealed };
}
