// The large buffers that another process sends. A buffer of a megabyte and more is
// mapped: nothing is copied, and the sender gets the memory back when the buffer
// has been collected. Smaller ones are copied, and so is everything where the
// kernel cannot map it safely, or where too much is mapped already.
import { check, errno, native, systemError } from '../system/binding.js';
import { type Mapping, mappingFlags } from '../system/segment-verbs.js';
import type { Fd } from '../system/fd.js';
import {
  type ArrivedBuffer,
  type Encoded,
  type PlacedRange,
  placeKinds,
  places,
} from '../wire/value.js';
import { flagsOf } from './allocate.js';
import { leastMapped } from './enclosures.js';
import {
  type Kept,
  endMapping,
  keepMapping,
  mapBuffer,
  mapSegment,
} from './mappings.js';
import { keepPiece, keepTable, tableOf } from './pieces.js';
import { type Inspected, giveBack, inspect, readSegment } from './segment.js';

interface Mapped {
  readonly mapping: Mapping;
  readonly size: number;
}

/** A mapping that is kept, because its segment will come again. */
type KeptSegment = Mapped & Kept;

export class Arrivals {
  /** By the ids of files. Undefined for a sender of a single message. */
  readonly #kept: Map<string, KeptSegment> | undefined;

  /** `sendsAgain`: the sender uses its segments again. */
  constructor(sendsAgain: boolean) {
    this.#kept = sendsAgain ? new Map<string, KeptSegment>() : undefined;
  }

  /**
   * The large buffers of encoded values, which came with them as files. Takes over
   * the files; one below 0 could not be received. `mayMap`: false where no event
   * loop runs, because only that reports what was collected. Throws when they
   * cannot be read.
   */
  receive(
    files: readonly Fd[],
    values: readonly Encoded[],
    mayMap: boolean,
  ): (readonly ArrivedBuffer[])[] {
    try {
      for (const { number } of files) {
        if (number < 0) check(-errno.EMFILE, 'receive large buffers');
      }
      const lists = values.map((value) => places(value));
      const isCopied = ({ kind }: PlacedRange): boolean =>
        kind === placeKinds.copied;
      const copied = lists.flat().filter(isCopied);
      const copies = this.#openCopies(files.at(-1), copied, mayMap);
      return lists.map((list) =>
        list.map((place) =>
          isCopied(place)
            ? copies.shift()!
            : { memory: openPassed(files, place, mayMap), start: place.start },
        ),
      );
    } finally {
      for (const file of files) file.close();
    }
  }

  /** The file is lent by the sender, which uses it again. */
  #openCopies(
    file: Fd | undefined,
    list: readonly PlacedRange[],
    mayMap: boolean,
  ): ArrivedBuffer[] {
    if (list.length === 0) return [];
    const fd = fileOf(file);
    const found = inspect(fd);
    let isMapped = false;
    try {
      const isLarge = list.some(({ length }) => length >= leastMapped);
      const mapped = isLarge && mayMap ? this.#map(fd, found) : undefined;
      const buffers = list.map((place) => {
        const { start, length } = place;
        const view =
          mapped === undefined || length < leastMapped
            ? undefined
            : viewOf(mapped, place);
        isMapped ||= view !== undefined;
        if (view !== undefined) {
          const isBorrowed = this.#kept !== undefined;
          keepPiece(view, fd, { ...place, kind: placeKinds.moved, isBorrowed });
        }
        return { memory: view ?? copyOf(fd, place), start };
      });
      if (mapped !== undefined && this.#kept === undefined) {
        native.unmapSegment(mapped.mapping);
      }
      return buffers;
    } finally {
      if (!isMapped) giveBack(fd);
    }
  }

  /** Gives back, and closes, the files of a call that this process does not make. */
  refuse(files: readonly Fd[]): void {
    for (const file of files) {
      // Moved and shared memory has no sender that waits for it.
      giveBack(file.number);
      file.close();
    }
  }

  /** The sender is gone. Its buffers stay. */
  close(): void {
    for (const each of this.#kept?.values() ?? []) each.forget();
  }

  /** Undefined where it has to be copied. */
  #map(fd: number, { id, size, isSealed }: Inspected): Mapped | undefined {
    if (!isSealed) return undefined;
    const present = this.#kept?.get(id);
    if (present !== undefined) {
      keepMapping(present);
      return present;
    }
    const flags = this.#kept === undefined ? 0 : mappingFlags.borrowed;
    const mapping = mapSegment(fd, size, flags);
    if (typeof mapping === 'number') return undefined;
    if (this.#kept === undefined) return { mapping, size };
    const added = {
      mapping,
      size,
      forget: (): void => {
        this.#kept!.delete(id);
        endMapping(added);
      },
    };
    this.#kept.set(id, added);
    keepMapping(added);
    return added;
  }
}

/** For senders of a single message. */
export const singleArrivals = new Arrivals(false);

/** A buffer that was moved or is shared. */
function openPassed(
  files: readonly Fd[],
  place: PlacedRange,
  mayMap: boolean,
): ArrayBuffer {
  const fd = fileOf(files[place.file]);
  const { kind } = place;
  const isMoved = kind === placeKinds.moved;
  const { id, size, isSealed } = inspect(fd);
  const table = isMoved ? undefined : tableOf(id);
  if (table !== undefined) return table;
  // Where no file is sealed, only shared memory is mapped: it has to be.
  if (isMoved && !(isSealed && mayMap)) return copyOf(fd, place);
  const flags = isMoved ? 0 : flagsOf(kind);
  checkPlace(size, place);
  const view = mapBuffer(fd, size, flags, place);
  if (typeof view === 'number') {
    // A copy would not show what others write.
    if (kind === placeKinds.shared) throw systemError(view, 'share memory');
    return copyOf(fd, place);
  }
  if (isMoved) keepPiece(view, fd, { ...place, isBorrowed: false });
  else keepTable(view, fd, place);
  return view;
}

function fileOf(file: Fd | undefined): number {
  if (file === undefined) throw new Error('A file of large buffers is missing');
  return file.number;
}

function viewOf(
  { mapping, size }: Mapped,
  place: PlacedRange,
): ArrayBuffer | undefined {
  checkPlace(size, place);
  const { offset, length } = place;
  const view = native.viewSegment(mapping, offset, length);
  return typeof view === 'number' ? undefined : view;
}

function checkPlace(size: number, { offset, length }: PlacedRange): void {
  if (offset + length > size) throw new Error('A segment is truncated');
  // Atomics would fail with SIGBUS on some machines.
  if (offset % 8 !== 0) throw new Error('A large buffer is not aligned');
}

function copyOf(fd: number, { offset, length }: PlacedRange): ArrayBuffer {
  return readSegment(fd, offset, length);
}
