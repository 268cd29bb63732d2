// Buffers that are handed over instead of copied.
import { types } from 'node:util';
import { invalidArgument } from '../errors.js';
import { check, native } from '../system/binding.js';
import { forEachLeaf } from '../wire/scan.js';
import { alwaysOutOfBand, placeKinds } from '../wire/value.js';
import { isMapped, pieceOf } from './pieces.js';

const marked = new WeakSet<ArrayBuffer>();
/** How many marks are left, with those of buffers that have been collected. */
let marks = 0;

/**
 * Hands a buffer over to the job, or to the submitter, that the value is sent to
 * next: nothing is copied if the buffer comes from {@link allocate} or has been
 * received, and any other buffer is copied once. Like the transfer list of
 * `postMessage`, this detaches the sender's buffer, with all of its views, when
 * the call is submitted or the job returns; in the `fork` context, when the process
 * has been forked. The receiver gets the whole buffer.
 *
 * Returns the value that it is given, so it can stand anywhere among arguments and
 * results. A buffer that cannot be moved, such as the memory of WebAssembly, is
 * refused with the error of `postMessage`, a DOMException named `DataCloneError`,
 * when the value is sent. Then no other buffer of the value is detached either, and
 * the others stay marked for the next call.
 *
 * @example
 * ```js
 * import { Jobserver, allocate, move } from 'jobserver';
 * import { blur } from './images.js';
 *
 * await using jobserver = new Jobserver();
 * const pixels = new Uint8Array(allocate(64 << 20));
 * const blurred = await jobserver.run(blur, move(pixels));
 * console.log(pixels.length); // 0: the job has it
 * ```
 *
 * @param value - An ArrayBuffer, or a view whose buffer is moved.
 * @throws A TypeError with code ERR_INVALID_ARG_TYPE for anything else. A
 * DOMException named `DataCloneError` for a buffer that is detached, resizable, or
 * shared by {@link share}.
 */
export function move<T extends ArrayBuffer | ArrayBufferView>(value: T): T {
  const buffer = ArrayBuffer.isView(value) ? value.buffer : value;
  if (!types.isArrayBuffer(buffer)) {
    throw invalidArgument('value', 'an ArrayBuffer or a view on one', value);
  }
  checkAttached(buffer);
  if ((buffer as { resizable?: boolean }).resizable === true) {
    throw dataCloneError('An ArrayBuffer that is resizable could not be moved');
  }
  const kind = pieceOf(buffer)?.kind ?? placeKinds.moved;
  if (kind !== placeKinds.moved) {
    throw dataCloneError('An ArrayBuffer that is shared could not be moved');
  }
  if (!marked.has(buffer)) marks += 1;
  marked.add(buffer);
  alwaysOutOfBand.add(buffer);
  return value;
}

export function isToMove(buffer: ArrayBuffer): boolean {
  return marked.has(buffer);
}

export function unmark(buffer: ArrayBuffer): void {
  if (marked.delete(buffer)) marks -= 1;
  alwaysOutOfBand.delete(buffer);
}

/**
 * The marked buffers among arguments that are not sent, without their marks: a call
 * has them. Throws like `takeMemory`.
 */
export function takeMarked(args: readonly unknown[]): readonly ArrayBuffer[] {
  if (marks === 0) return [];
  const found = new Set<ArrayBuffer>();
  forEachLeaf(args, (leaf) => {
    const buffer = ArrayBuffer.isView(leaf) ? leaf.buffer : leaf;
    if (marked.has(buffer as ArrayBuffer)) found.add(buffer as ArrayBuffer);
  });
  const buffers = [...found];
  checkTransferable(buffers.filter((buffer) => !isMapped(buffer)));
  for (const buffer of buffers) unmark(buffer);
  return buffers;
}

/** Detaches what `takeMarked` has returned. Never throws. */
export function detach(buffers: readonly ArrayBuffer[]): void {
  for (const buffer of buffers) native.detachBuffer(buffer);
}

/**
 * Detaches the buffers and returns their memory. Throws what `postMessage` throws if
 * one of them cannot be transferred; then the others are attached and marked as
 * before.
 */
export function takeMemory(buffers: readonly ArrayBuffer[]): Uint8Array[] {
  const taken = transfer(buffers.filter((buffer) => !isMapped(buffer)));
  for (const buffer of buffers) unmark(buffer);
  return buffers.map((buffer) => {
    if (!isMapped(buffer)) return new Uint8Array(taken.shift()!);
    const bytes = new Uint8Array(buffer).slice();
    check(native.detachBuffer(buffer), 'detach a buffer');
    return bytes;
  });
}

// Node 20 transfers the other buffers and copies one that it does not transfer.
const copiesSome = parseInt(process.versions.node) < 22;

function transfer(buffers: ArrayBuffer[]): ArrayBuffer[] {
  if (copiesSome) checkTransferable(buffers);
  try {
    return structuredClone(buffers, { transfer: buffers });
  } catch (error) {
    checkTransferable(buffers);
    throw error;
  }
}

/** Buffers that cannot be transferred lose their mark, so that they can be copied. */
function checkTransferable(buffers: readonly ArrayBuffer[]): void {
  const refused = buffers.filter((buffer) => !isTransferable(buffer));
  if (refused.length === 0) return;
  for (const buffer of refused) unmark(buffer);
  throw dataCloneError('An ArrayBuffer is not transferable');
}

// Detaches nothing. A list that has a buffer twice is refused, unless Node 20 passes
// over the buffer.
function isTransferable(buffer: ArrayBuffer): boolean {
  return isAccepted([buffer]) && !isAccepted([buffer, buffer]);
}

/** Whether Node, once it has checked the list, goes on to the value. */
function isAccepted(transfer: ArrayBuffer[]): boolean {
  const accepted = new Error();
  const value = {
    get unreadable(): never {
      throw accepted;
    },
  };
  try {
    structuredClone(value, { transfer });
    return true;
  } catch (error) {
    return error === accepted;
  }
}

function checkAttached(buffer: ArrayBuffer): void {
  try {
    new Uint8Array(buffer);
  } catch {
    throw dataCloneError('An ArrayBuffer is detached and could not be moved');
  }
}

function dataCloneError(message: string): DOMException {
  return new DOMException(message, 'DataCloneError');
}
