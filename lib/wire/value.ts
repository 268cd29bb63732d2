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
import { read, write, writeMessage } from './stream.js';
import { isText, parseText, textOf } from './text.js';

export { sendable, unsendable } from './kind.js';
export { isText } from './text.js';

/** A small plain value is a text, which is bytes in UTF-8 on its way. */
export type Encoded = Buffer | string;

/**
 * Encodes a value. `root` is its name in messages ("args", "result").
 * `send` turns a handle, which is an instance of a class marked by [sendable],
 * into plain data; without `send`, handles are refused. Getters of the value
 * may be called more than once.
 *
 * Throws a TypeError with code ERR_JOBSERVER_NOT_SERIALIZABLE that names the
 * path to the part that cannot be sent; its cause is the original error.
 */
export function encode(value: unknown, root: string, send?: Send): Encoded {
  return textOf(value) ?? encodeClone(value, root, send);
}

/** The bytes of what `encode` has returned. */
export function bytesOf(encoded: Encoded): Buffer {
  return typeof encoded === 'string' ? Buffer.from(encoded) : encoded;
}

function encodeClone(
  value: unknown,
  root: string,
  send: Send | undefined,
): Buffer {
  let refusal: unknown;
  if (!isSpecialOnTop(value)) {
    try {
      const bytes = write(value);
      // Few trees have more objects than this for their size.
      const budget = 64 + bytes.length / 6;
      if (!isObject(value) || !hasSpecials(value, budget)) return bytes;
    } catch (error) {
      refusal = error;
    }
  }
  try {
    return encodeCopy(value, send);
  } catch (error) {
    throw notSerializable(value, root, send, refusal ?? error);
  }
}

function encodeCopy(value: unknown, send: Send | undefined): Buffer {
  const message = copyMessage(value, send);
  try {
    return writeMessage(message);
  } catch (error) {
    if (message.fields.length === 0) throw error;
    prune(message);
    return writeMessage(message);
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
 * once per handle. Errors belong to the realm of this module, plain objects to it
 * or to the main realm.
 *
 * Throws an Error with code ERR_JOBSERVER_NOT_RECONSTRUCTABLE when the bytes
 * are malformed or `revive` throws; its cause is the original error.
 */
export function decode(
  encoded: Uint8Array | string,
  revive?: (data: unknown) => object,
): unknown {
  try {
    if (typeof encoded === 'string') return parseText(encoded);
    return isText(encoded)
      ? parseText(Buffer.from(encoded).toString())
      : read(encoded, revive);
  } catch (error) {
    throw codedError(
      'ERR_JOBSERVER_NOT_RECONSTRUCTABLE',
      `Not reconstructable: ${describe(error)}`,
      { cause: error },
    );
  }
}

/**
 * Encodes a thrown value for `decode`. Never throws: a field of an error that
 * cannot be sent is left out, and any other value that cannot be sent is
 * replaced by a TypeError that describes it.
 */
export function encodeThrown(thrown: unknown): Encoded {
  try {
    return encode(thrown, 'thrown');
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
