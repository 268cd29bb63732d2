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

export { sendable, unsendable } from './kind.js';

/**
 * Encodes a value as bytes. `root` is its name in messages ("args", "result").
 * `send` turns a handle, which is an instance of a class marked by [sendable],
 * into plain data; without `send`, handles are refused. Getters of the value
 * may be called more than once.
 *
 * Throws a TypeError with code ERR_JOBSERVER_NOT_SERIALIZABLE that names the
 * path to the part that cannot be sent; its cause is the original error.
 */
export function encode(value: unknown, root: string, send?: Send): Buffer {
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
 * share the memory of `bytes`, which the caller must not use afterwards.
 * `revive` turns the plain data of a handle back into a handle; it is called
 * once per handle. Plain objects belong to the main realm, errors to the realm
 * of this module.
 *
 * Throws an Error with code ERR_JOBSERVER_NOT_RECONSTRUCTABLE when the bytes
 * are malformed or `revive` throws; its cause is the original error.
 */
export function decode(
  bytes: Uint8Array,
  revive?: (data: unknown) => object,
): unknown {
  try {
    return read(bytes, revive);
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
export function encodeThrown(thrown: unknown): Buffer {
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
