// Encodes a value as bytes for another process, and decodes them there. V8's
// structured clone does most of it; this folder adds errors and handles, which
// V8 loses or refuses. It knows nothing about pipes and jobs: the sender says
// how to turn a handle into plain data, and the receiver how to turn it back.

import { types } from 'node:util';
import { codedError, codedTypeError } from '../errors.js';
import { copyMessage, prune, TooDeep } from './copy.js';
import type { Send } from './copy.js';
import { describe } from './error.js';
import { findOffender } from './offender.js';
import { hasSpecials, isObject, isSpecialOnTop } from './scan.js';
import { OutOfBand } from './out-of-band.js';
import type { ArrivedBuffer, PlacedRange, Store } from './out-of-band.js';
import { attach, placesIn, read, write, writeMessage } from './stream.js';
import { isText, isTextStart, parseText, textOf } from './text.js';

export { sendable, unsendable } from './kind.js';
export { alwaysOutOfBand, placeKinds } from './out-of-band.js';
export type {
  ArrivedBuffer,
  BufferRange,
  Place,
  PlacedRange,
  Store,
} from './out-of-band.js';
export { isText } from './text.js';

/** A small plain value is a text, which is bytes in UTF-8 on its way. */
export type Encoded = Buffer | string;

/**
 * Encodes a value. `root` is its name in messages ("args", "result").
 * `send` turns a handle, which is an instance of a class marked by [sendable],
 * into plain data; without `send`, handles are refused. `store` gets the large
 * buffers, which do not become a part of the bytes then. Getters of the value may
 * be called more than once.
 *
 * Throws a TypeError with code ERR_JOBSERVER_NOT_SERIALIZABLE that names the
 * path to the part that cannot be sent; its cause is the original error.
 */
export function encode(
  value: unknown,
  root: string,
  send?: Send,
  store?: Store,
): Encoded {
  return (
    textOf(value) ??
    (store && encodeClone(value, root, send, store)) ??
    encodeClone(value, root, send)!
  );
}

/** The bytes of what `encode` has returned. */
export function bytesOf(encoded: Encoded): Buffer {
  return typeof encoded === 'string' ? Buffer.from(encoded) : encoded;
}

/** A copy of borrowed bytes. It is a text if they are one. */
export function ownedBytes(
  bytes: Buffer,
  start = 0,
  end: number = bytes.length,
): Encoded {
  if (end > start && isTextStart(bytes[start]!)) {
    return bytes.toString('utf8', start, end);
  }
  // With memory of its own, because values that are decoded are views of it.
  const copy = Buffer.allocUnsafeSlow(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}

/** Undefined when the large buffers cannot be stored. */
function encodeClone(
  value: unknown,
  root: string,
  send: Send | undefined,
  store?: Store,
): Buffer | undefined {
  const beside = store && new OutOfBand();
  let refusal: unknown;
  if (!isSpecialOnTop(value, beside)) {
    try {
      const bytes = encodePlain(value, beside);
      if (bytes !== undefined) return finish(bytes, beside, store);
    } catch (error) {
      refusal = error;
    }
  }
  try {
    return finish(encodeCopy(value, send, beside), beside, store);
  } catch (error) {
    throw notSerializable(value, root, send, refusal ?? error);
  }
}

function finish(
  bytes: Buffer,
  beside: OutOfBand | undefined,
  store: Store | undefined,
): Buffer | undefined {
  return beside && store ? attach(bytes, beside, store) : bytes;
}

/** Undefined for a value with errors or handles. Throws what V8 throws. */
function encodePlain(
  value: unknown,
  beside: OutOfBand | undefined,
): Buffer | undefined {
  const bytes = write(value, beside);
  if (!isObject(value)) return bytes;
  // Few trees have more objects than this for their size.
  const budget = 64 + bytes.length / 6;
  if (hasSpecials(value, budget, beside)) return undefined;
  return beside?.hasMissed === true ? write(value, beside) : bytes;
}

function encodeCopy(
  value: unknown,
  send: Send | undefined,
  beside: OutOfBand | undefined,
): Buffer {
  const message = copyMessage(value, send, beside);
  try {
    return writeMessage(message, beside);
  } catch (error) {
    if (message.fields.length === 0) throw error;
    prune(message);
    return writeMessage(message, beside);
  }
}

function notSerializable(
  value: unknown,
  root: string,
  send: Send | undefined,
  refusal: unknown,
): TypeError {
  const offender = isOverflow(refusal)
    ? { text: `${root} is nested too deeply`, cause: refusal }
    : (findOffender(value, root, send) ?? {
        text: `${root}: ${describe(refusal)}`,
        cause: refusal,
      });
  return codedTypeError(
    'ERR_JOBSERVER_NOT_SERIALIZABLE',
    `Not serializable: ${offender.text}`,
    'cause' in offender ? { cause: offender.cause } : {},
  );
}

// Compared by its text: V8 may throw the error of another realm.
function isOverflow(refusal: unknown): boolean {
  if (refusal instanceof TooDeep) return true;
  return (
    types.isNativeError(refusal) &&
    refusal.message === 'Maximum call stack size exceeded'
  );
}

/**
 * Decodes what `encode` or `encodeThrown` returned. Views in the value may
 * share the memory of `encoded`, which the caller must not use afterwards.
 * `revive` turns the plain data of a handle back into a handle; it is called
 * once per handle. `arrived` has the buffers at `places`, in the same order.
 * Errors belong to the realm of this module, plain objects to it or to the main
 * realm.
 *
 * Throws an Error with code ERR_JOBSERVER_NOT_RECONSTRUCTABLE when the bytes
 * are malformed or `revive` throws; its cause is the original error.
 */
export function decode(
  encoded: Uint8Array | string,
  revive?: (data: unknown) => object,
  arrived: readonly ArrivedBuffer[] = [],
): unknown {
  try {
    if (typeof encoded === 'string') return parseText(encoded);
    return isText(encoded)
      ? parseText(Buffer.from(encoded).toString())
      : read(encoded, revive, arrived);
  } catch (error) {
    throw codedError(
      'ERR_JOBSERVER_NOT_RECONSTRUCTABLE',
      `Not reconstructable: ${describe(error)}`,
      { cause: error },
    );
  }
}

/**
 * Where the large buffers are that `store` has stored; nowhere if nothing was
 * encoded. Throws when the bytes are malformed.
 */
export function places(encoded: Encoded): readonly PlacedRange[] {
  if (typeof encoded === 'string' || isText(encoded)) return [];
  return encoded.length === 0 ? [] : placesIn(encoded);
}

/**
 * Encodes a thrown value for `decode`. Never throws: a field of an error that
 * cannot be sent is left out, and any other value that cannot be sent is
 * replaced by a TypeError that describes it.
 */
export function encodeThrown(thrown: unknown, store?: Store): Encoded {
  try {
    return encode(thrown, 'thrown', undefined, store);
  } catch {
    // Some part was refused; an error with a text never is.
    return encode(errorDescribing(thrown), 'thrown');
  }
}

function errorDescribing(thrown: unknown): TypeError {
  return codedTypeError(
    'ERR_JOBSERVER_NOT_SERIALIZABLE',
    `What was thrown is not serializable: ${describe(thrown)}`,
  );
}
