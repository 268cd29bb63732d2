// Large buffers of a value leave the bytes that V8 writes: they are stored
// elsewhere, and the bytes only refer to them. A table at the end of the bytes
// says where each buffer is. Views on one buffer stay views on one buffer, of
// which the part is sent that they cover.
import { types } from 'node:util';

/** Smaller buffers are written between the other bytes. */
export const leastOutOfBand = 32 << 10;

/** A part of a buffer that leaves the bytes. */
export interface BufferRange {
  readonly buffer: ArrayBuffer;
  start: number;
  end: number;
}

/** Buffers that leave the bytes whatever their size: those of `move`, `share`. */
export const alwaysOutOfBand = new WeakSet<ArrayBuffer>();

/** What becomes of the buffer, besides what the receiver gets. */
export const placeKinds = {
  /** The sender keeps the original. All such buffers are in the last file. */
  copied: 0,
  /** The receiver owns it from now on. */
  moved: 1,
  /** Both have it. */
  shared: 2,
  /** Both have it, and neither can change it. */
  constant: 3,
} as const;

/** Where the part of a buffer is: a position in one of several files. */
export interface Place {
  /** One of `placeKinds`. */
  readonly kind: number;
  /** The number of the file, counted from 0. */
  readonly file: number;
  readonly offset: number;
  readonly length: number;
}

/** A place, and where the part began in the buffer that was sent. */
export interface PlacedRange extends Place {
  readonly start: number;
}

/** A buffer that was sent: `memory` is the part from `start` on. */
export interface ArrivedBuffer {
  readonly memory: ArrayBuffer;
  readonly start: number;
}

/**
 * Stores the parts and returns their places, in the same order. Undefined when
 * they cannot be stored.
 */
export type Store = (
  ranges: readonly BufferRange[],
) => readonly Place[] | undefined;

/** The buffers that leave one message. */
export class OutOfBand {
  /** In the order of their numbers. */
  readonly #ranges: BufferRange[] = [];
  readonly #numbers = new Map<ArrayBuffer, number>();
  readonly #wholes = new Set<ArrayBuffer>();
  /** A buffer was found that V8 has written between the other bytes. */
  hasMissed = false;

  get ranges(): readonly BufferRange[] {
    return this.#ranges;
  }

  /** Notes a buffer that is a value by itself. */
  note(value: object): void {
    if (!isLargeBuffer(value) || this.#wholes.has(value)) return;
    this.#wholes.add(value);
    this.hasMissed = true;
  }

  /**
   * Forgets the views of an earlier attempt. Returns the buffers that are values by
   * themselves, with their numbers.
   */
  begin(): ReadonlyMap<ArrayBuffer, number> {
    this.#ranges.length = 0;
    this.#numbers.clear();
    this.hasMissed = false;
    for (const buffer of this.#wholes) {
      this.#cover(buffer, 0, buffer.byteLength);
    }
    return this.#numbers;
  }

  /** The number of the view's buffer; undefined for a view that stays. */
  add(view: ArrayBufferView): number | undefined {
    const { buffer, byteOffset, byteLength } = view;
    if (!hasFixedLength(buffer)) return undefined;
    if (byteLength < leastOutOfBand && !alwaysOutOfBand.has(buffer)) {
      return undefined;
    }
    return this.#cover(buffer, byteOffset, byteOffset + byteLength);
  }

  #cover(buffer: ArrayBuffer, start: number, end: number): number {
    const known = this.#numbers.get(buffer);
    if (known === undefined) {
      this.#numbers.set(buffer, this.#ranges.length);
      return this.#ranges.push({ buffer, start, end }) - 1;
    }
    const range = this.#ranges[known]!;
    if (start < range.start) range.start = start;
    if (end > range.end) range.end = end;
    // Aligned for elements of every size.
    range.start -= range.start % 8;
    return known;
  }
}

function isLargeBuffer(value: object): value is ArrayBuffer {
  return (
    types.isArrayBuffer(value) &&
    (value.byteLength >= leastOutOfBand || alwaysOutOfBand.has(value)) &&
    hasFixedLength(value)
  );
}

/** The length of a resizable buffer may change while the value is read. */
function hasFixedLength(buffer: ArrayBufferLike): buffer is ArrayBuffer {
  return (
    types.isArrayBuffer(buffer) &&
    (buffer as { resizable?: boolean }).resizable !== true
  );
}

const entryNumbers = 5;
const numberBytes = 8;

/** The table: five doubles for each part. */
export function packTable(
  places: readonly Place[],
  ranges: readonly BufferRange[],
): Buffer {
  const table = new Float64Array(entryNumbers * places.length);
  for (const [i, { kind, file, offset, length }] of places.entries()) {
    const { start } = ranges[i]!;
    table.set([kind, file, offset, length, start], entryNumbers * i);
  }
  return Buffer.from(table.buffer);
}

/** Throws for what `packTable` does not return. */
export function unpackTable(bytes: Uint8Array): PlacedRange[] {
  // With memory of its own, because the bytes may not be aligned.
  const table = new Float64Array(new Uint8Array(bytes).buffer);
  if (!table.every((it) => Number.isSafeInteger(it) && it >= 0)) {
    throw new Error('The message is malformed: a place');
  }
  return Array.from({ length: table.length / entryNumbers }, (_, i) => {
    const entry = table.subarray(entryNumbers * i, entryNumbers * (i + 1));
    const [kind, file, offset, length, start] = entry as unknown as [
      number,
      number,
      number,
      number,
      number,
    ];
    return { kind, file, offset, length, start };
  });
}

/** The length in bytes of a table with `count` parts. */
export function tableLength(count: number): number {
  return numberBytes * entryNumbers * count;
}

const viewTypes: readonly string[] = [
  'DataView',
  'Buffer',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float16Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
];

// It has a getter of the name of the type, whatever a view has itself.
const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;

/** The number of the view's type; -1 for one that this version does not know. */
export function typeOfView(view: ArrayBufferView): number {
  if (view.constructor === Buffer) return 1;
  const name: unknown = Reflect.get(typedArray, Symbol.toStringTag, view);
  return viewTypes.indexOf((name as string | undefined) ?? 'DataView');
}

type ViewClass = new (
  buffer: ArrayBuffer,
  offset: number,
  length: number,
) => ArrayBufferView;

/** Throws for a type, or a part of the buffer, that there is not. */
export function makeView(
  type: number,
  buffer: ArrayBuffer,
  offset: number,
  byteLength: number,
): ArrayBufferView {
  const name = viewTypes[type];
  if (name === 'Buffer') return Buffer.from(buffer, offset, byteLength);
  const known = globalThis as unknown as Record<string, ViewClass | undefined>;
  const View = name === undefined ? undefined : known[name];
  if (View === undefined) throw new Error('The message has an unknown view');
  const { BYTES_PER_ELEMENT: size = 1 } = View as {
    BYTES_PER_ELEMENT?: number;
  };
  return new View(buffer, offset, byteLength / size);
}
