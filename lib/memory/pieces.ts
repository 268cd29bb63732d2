// Buffers over segments that this process can pass on without copying: those of
// `allocate` and `share`, and large ones that it has received.
import { check, native } from '../system/binding.js';
import { type Fd, duplicate } from '../system/fd.js';
import { type Place, alwaysOutOfBand, placeKinds } from '../wire/value.js';
import { inspect } from './segment.js';

/** Where the memory of a buffer is. */
export interface Piece extends Omit<Place, 'file'> {
  /** Open until the buffer has been collected. */
  readonly file: Fd;
  /** The segment is lent by the process that has sent it. */
  readonly isBorrowed: boolean;
}

// Each keeps a descriptor open. Older ones become ordinary buffers, which are
// copied once when they are moved.
const mostPieces = 64;

const pieces = new WeakMap<ArrayBuffer, Piece>();
/** All buffers over segments. `postMessage` would not transfer them. */
const mapped = new WeakSet<ArrayBuffer>();
/** Shared buffers of this process, by the ids of their files. */
const tables = new Map<string, WeakRef<ArrayBuffer>>();
/** Open ones of buffers that are not shared. */
const files = new Set<Fd>();
const collected = new FinalizationRegistry<Fd>((file) => {
  files.delete(file);
  file.close();
});
const collectedTables = new FinalizationRegistry<string>((id) => {
  // There may be another buffer for it already.
  if (tableOf(id) === undefined) tables.delete(id);
});

/**
 * `fd`: borrowed. Without a free descriptor, the buffer is an ordinary one; throws
 * for one that is shared.
 */
export function keepPiece(
  buffer: ArrayBuffer,
  fd: number,
  piece: Omit<Piece, 'file'>,
): void {
  mapped.add(buffer);
  const isShared = piece.kind !== placeKinds.moved;
  if (!isShared && files.size >= mostPieces) closeOldest();
  let file;
  try {
    file = duplicate(fd);
  } catch (error) {
    if (isShared) throw error;
    return;
  }
  if (isShared) file.keepInForks();
  else files.add(file);
  pieces.set(buffer, { ...piece, file });
  collected.register(buffer, file, buffer);
}

/** Keeps a buffer that is shared: this process has one of each. */
export function keepTable(
  buffer: ArrayBuffer,
  fd: number,
  place: Omit<Piece, 'file' | 'isBorrowed'>,
): void {
  keepPiece(buffer, fd, { ...place, isBorrowed: false });
  alwaysOutOfBand.add(buffer);
  const { id } = inspect(fd);
  tables.set(id, new WeakRef(buffer));
  collectedTables.register(buffer, id);
}

/** `id`: of the file. */
export function tableOf(id: string): ArrayBuffer | undefined {
  return tables.get(id)?.deref();
}

/** Whether it is, or was, over a segment. */
export function isMapped(buffer: ArrayBuffer): boolean {
  return mapped.has(buffer);
}

function closeOldest(): void {
  for (const file of files) {
    files.delete(file);
    file.close();
    return;
  }
}

/** Undefined for an ordinary buffer. */
export function pieceOf(buffer: ArrayBuffer): Piece | undefined {
  const piece = pieces.get(buffer);
  return piece === undefined || piece.file.number < 0 ? undefined : piece;
}

/** Its memory belongs to another process. The caller closes the file. */
export function detachPiece(buffer: ArrayBuffer, { file }: Piece): void {
  check(native.detachBuffer(buffer), 'detach a buffer');
  pieces.delete(buffer);
  files.delete(file);
  collected.unregister(buffer);
}

/**
 * Closes the files of all buffers that are not shared, and returns how many there
 * were. From then on, such a buffer is copied when it is moved.
 */
export function closePieces(): number {
  const count = files.size;
  for (const file of files) file.close();
  files.clear();
  return count;
}
