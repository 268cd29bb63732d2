// What travels beside the bytes of a call or a result: its large buffers. Most are
// copied, straight into memory that the receiver shares. A call that has to wait
// gets a copy of them meanwhile, because their owner may change them. Buffers that
// are moved or shared stay where they are: the receiver gets their files.
import { codedTypeError } from '../errors.js';
import type { Fd } from '../system/fd.js';
import { type BufferRange, type Place, placeKinds } from '../wire/value.js';
import { isToMove, takeMemory, unmark } from './move.js';
import { type Piece, detachPiece, pieceOf } from './pieces.js';
import {
  Segment,
  headBytes,
  keepTaken,
  orderFor,
  pageBytes,
} from './segment.js';
import type { SegmentPool } from './segment-pool.js';

/** The receiver copies smaller buffers: mapping them would take longer. */
export const leastMapped = 1 << 20;

/** The most files that come with a call or a result. */
export const mostEnclosures = 31;

// Buffers that are mapped begin at a page; the others, at a line of the cache.
const lineBytes = 64;

/** A buffer that is copied. */
interface Part {
  /** Absent once they are in a segment. */
  bytes: Uint8Array | undefined;
  /** The sender cannot change the bytes any more. */
  isOwn: boolean;
  readonly offset: number;
  readonly length: number;
}

/** A buffer whose file the receiver gets. */
interface Passed {
  readonly buffer: ArrayBuffer;
  readonly piece: Piece;
}

/** A segment, and the pool that it goes back to; none for a single use. */
interface Sent {
  readonly segment: Segment;
  readonly pool: SegmentPool | undefined;
}

export class Enclosures {
  readonly #parts: Part[] = [];
  readonly #passed: Passed[] = [];
  /** Ordinary buffers to move, with the parts that they become. */
  readonly #taken: { readonly buffer: ArrayBuffer; readonly part: Part }[] = [];
  /** Files of buffers that were moved. */
  readonly #owned: Fd[] = [];
  #end = headBytes;
  #hasMoved = false;
  #isMoving = false;
  #isKept = false;
  #sent: Sent | undefined;

  /** What `send` has returned last. */
  files: readonly number[] = [];

  /** The lengths of the buffers that the receiver cannot change. */
  readonly constants: number[] = [];

  /** Whether buffers of the sender have been detached. */
  get hasMoved(): boolean {
    return this.#hasMoved;
  }

  /** Whether `commit` detaches buffers of the sender. */
  get isMoving(): boolean {
    return this.#isMoving;
  }

  /** For `encode`. The buffers stay as they are until `commit`. */
  note(ranges: readonly BufferRange[]): readonly Place[] {
    return ranges.map((range) => this.#note(range));
  }

  #note(range: BufferRange): Place {
    const { buffer } = range;
    const piece = pieceOf(buffer);
    const isMoved = isToMove(buffer);
    const isShared = (piece?.kind ?? placeKinds.moved) !== placeKinds.moved;
    if (isMoved) this.#isMoving = true;
    if (isMoved || isShared) {
      // The receiver gets all of it, as from postMessage.
      range.start = 0;
      range.end = buffer.byteLength;
    }
    if (piece !== undefined && (isMoved || isShared)) {
      const file = this.#passed.push({ buffer, piece }) - 1;
      const { kind, offset, length } = piece;
      if (kind === placeKinds.constant) this.constants.push(length);
      return { kind, file, offset, length };
    }
    const { start, end } = range;
    const part = this.#add(new Uint8Array(buffer, start, end - start));
    if (isMoved) this.#taken.push({ buffer, part });
    const { offset, length } = part;
    return { kind: placeKinds.copied, file: 0, offset, length };
  }

  #add(bytes: Uint8Array): Part {
    const { length } = bytes;
    const unit = length >= leastMapped ? pageBytes : lineBytes;
    const offset = Math.ceil(this.#end / unit) * unit;
    this.#end = offset + length;
    const part = { bytes, isOwn: false, offset, length };
    this.#parts.push(part);
    return part;
  }

  /**
   * Detaches the buffers that are moved. Called once the value has been encoded.
   * Throws a DataCloneError for a buffer that cannot be moved, and a TypeError for
   * too many files.
   */
  commit(): void {
    if (this.#passed.length >= mostEnclosures) {
      throw codedTypeError(
        'ERR_JOBSERVER_NOT_SERIALIZABLE',
        `Not serializable: ${this.#passed.length} buffers are moved or shared; ` +
          `at most ${mostEnclosures - 1} can be`,
      );
    }
    if (this.#taken.length > 0) {
      const memory = takeMemory(this.#taken.map(({ buffer }) => buffer));
      this.#hasMoved = true;
      for (const [i, { part }] of this.#taken.entries()) {
        part.bytes = memory[i];
        part.isOwn = true;
      }
    }
    for (const { buffer, piece } of this.#passed) {
      if (piece.kind !== placeKinds.moved) continue;
      unmark(buffer);
      this.#hasMoved = true;
      if (piece.isBorrowed) keepTaken(piece.file.number);
      detachPiece(buffer, piece);
      this.#owned.push(piece.file);
    }
  }

  /** Copies what has not been sent, and what the sender may still change. */
  copy(): void {
    for (const part of this.#parts) {
      if (part.isOwn) continue;
      part.bytes = part.bytes?.slice();
      part.isOwn = true;
    }
  }

  /** As `copy`; and later attempts get what the first did, whatever it does to it. */
  keep(): void {
    this.copy();
    this.#isKept = true;
  }

  /**
   * The files for another process, borrowed until `end`. `pool`: of the process;
   * none for a process of one job. Throws when the kernel has no room.
   */
  send(pool?: SegmentPool): readonly number[] {
    const passed = this.#passed.map(({ piece }) => piece.file.number);
    this.files = passed;
    if (this.#parts.length === 0) return passed;
    const segment = pool?.take(this.#end) ?? Segment.open(orderFor(this.#end));
    try {
      for (const { bytes, offset, length } of this.#parts) {
        const from = bytes ?? this.#sent!.segment.read(offset, length);
        segment.write(from, offset);
      }
      if (pool !== undefined) segment.lend();
    } catch (error) {
      segment.close();
      throw error;
    }
    this.#release();
    this.#sent = { segment, pool };
    // A second attempt reads them back.
    if (!this.#isKept) for (const part of this.#parts) part.bytes = undefined;
    this.files = [...passed, segment.fd];
    return this.files;
  }

  #release(): void {
    const sent = this.#sent;
    this.#sent = undefined;
    if (sent?.pool === undefined) sent?.segment.close();
    else sent.pool.put(sent.segment);
  }

  /** They are sent no more. */
  end(): void {
    this.#release();
    for (const file of this.#owned.splice(0)) file.close();
    this.#parts.length = 0;
    this.#passed.length = 0;
  }
}
