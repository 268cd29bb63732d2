// Memory that other processes can map: to be moved there, or shared with them.
import { types } from 'node:util';
import { invalidArgument, outOfRange } from '../errors.js';
import { check, native, systemError } from '../system/binding.js';
import { mappingFlags } from '../system/segment-verbs.js';
import { Fd, writeAllAt } from '../system/fd.js';
import { placeKinds } from '../wire/value.js';
import { leastMapped } from './enclosures.js';
import { mapBuffer } from './mappings.js';
import { keepPiece, keepTable } from './pieces.js';
import { headBytes, inspect, pageBytes } from './segment.js';

/**
 * An ArrayBuffer of zeros that {@link move} hands to another process without
 * copying it. Otherwise it is like `new ArrayBuffer(byteLength)`, except that
 * `postMessage` copies it instead of transferring it. Below 1 MiB, where copying
 * is faster, beyond the limit of {@link sharedMemory}, and where the kernel has no
 * such memory, it is an ordinary buffer.
 *
 * @param byteLength - An integer of at least 0.
 * @throws A RangeError with code ERR_OUT_OF_RANGE for another length.
 * @example See {@link move}.
 */
export function allocate(byteLength: number): ArrayBuffer {
  checkLength(byteLength);
  if (byteLength < leastMapped) return new ArrayBuffer(byteLength);
  const file = tryOpen(byteLength);
  if (file === undefined) return new ArrayBuffer(byteLength);
  try {
    // Its receiver would copy it.
    if (!inspect(file.number).isSealed) return new ArrayBuffer(byteLength);
    const place = { offset: headBytes, length: byteLength };
    const flags = mappingFlags.allocated;
    const buffer = mapBuffer(file.number, sizeOf(byteLength), flags, place);
    if (typeof buffer === 'number') return new ArrayBuffer(byteLength);
    const { moved: kind } = placeKinds;
    keepPiece(buffer, file.number, { ...place, kind, isBorrowed: false });
    return buffer;
  } finally {
    file.close();
  }
}

/**
 * Memory for all processes: jobs that get the buffer, as an argument or inside
 * one, map it instead of copying it, once per process, and so do their jobs.
 *
 * With a number, the memory is zeros that each of them can change; use
 * `Atomics.load`, `store`, `add` and so on for what several change at a time. With
 * bytes, the memory is a copy of them, which no process can change. Use it for a big
 * table that all jobs read. The kernel ends a process that writes to it by SIGSEGV,
 * on macOS by SIGBUS, and the job of that process is lost.
 *
 * The memory is freed when no process has the buffer any more.
 *
 * @example
 * ```js
 * import { Jobserver, share } from 'jobserver';
 * import { lookUp } from './index.js';
 *
 * await using jobserver = new Jobserver();
 * const table = new Float64Array(share(new Float64Array(1 << 20).fill(1)));
 * console.log(await Promise.all([1, 2, 3].map((id) => jobserver.run(lookUp, table, id))));
 * ```
 *
 * @param source - A length in bytes, an integer of at least 0; or an ArrayBuffer
 * or a view, whose bytes are copied.
 * @throws A RangeError with code ERR_OUT_OF_RANGE for another length. A TypeError
 * with code ERR_INVALID_ARG_TYPE for anything else. A system error, such as ENOMEM,
 * or ENOSPC where the memory is a file on a full disk.
 */
export function share(
  source: number | ArrayBuffer | ArrayBufferView,
): ArrayBuffer {
  const bytes = typeof source === 'number' ? undefined : bytesOf(source);
  if (typeof source === 'number') checkLength(source, 'source');
  const length = bytes?.length ?? (source as number);
  const role = 'share memory';
  const file = new Fd(check(native.segmentFile(sizeOf(length)), role));
  try {
    if (bytes !== undefined) {
      check(writeAllAt(file.number, bytes, headBytes), role);
      check(native.makeConstant(file.number), role);
    } else if (!inspect(file.number).isSealed) {
      takeRoom(file.number, sizeOf(length), role);
    }
    const kind = bytes === undefined ? placeKinds.shared : placeKinds.constant;
    const place = { offset: headBytes, length };
    const flags = flagsOf(kind);
    const buffer = mapBuffer(file.number, sizeOf(length), flags, place);
    if (typeof buffer === 'number') throw systemError(buffer, role);
    keepTable(buffer, file.number, { ...place, kind });
    return buffer;
  } finally {
    file.close();
  }
}

/**
 * Of a file on a disk. Where the disk is full, this throws; a process that wrote to
 * the mapping would be ended by SIGBUS.
 */
function takeRoom(fd: number, size: number, role: string): void {
  const zeros = new Uint8Array(Math.min(size, 1 << 20));
  for (let at = 0; at < size; at += zeros.length) {
    check(writeAllAt(fd, zeros.subarray(0, size - at), at), role);
  }
}

/** Of the mapping of a buffer that is shared. */
export function flagsOf(kind: number): number {
  const { shared, readOnly } = mappingFlags;
  return kind === placeKinds.constant ? shared | readOnly : shared;
}

function checkLength(length: number, name = 'byteLength'): void {
  if (Number.isSafeInteger(length) && length >= 0) return;
  throw outOfRange(name, 'an integer of at least 0', length);
}

function bytesOf(source: unknown): Uint8Array {
  if (ArrayBuffer.isView(source)) {
    const { buffer, byteOffset, byteLength } = source;
    return new Uint8Array(buffer, byteOffset, byteLength);
  }
  if (types.isArrayBuffer(source)) return new Uint8Array(source);
  throw invalidArgument('source', 'a number, an ArrayBuffer or a view', source);
}

function sizeOf(length: number): number {
  return headBytes + Math.ceil(length / pageBytes) * pageBytes;
}

function tryOpen(byteLength: number): Fd | undefined {
  const fd = native.segmentFile(sizeOf(byteLength));
  return fd < 0 ? undefined : new Fd(fd);
}
