// A value <-> bytes for another process: V8's structured clone, and beside it
// what that loses or refuses, errors and handles. Knows nothing of pipes or
// jobs; who sends says what a handle is, and who receives makes it again.

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
 * A value as bytes. `root` names the value in messages ("args", "result").
 * `send` turns a handle, an instance of a class that is marked by [sendable],
 * into plain data; without it handles are refused. Getters of the value may be
 * called more than once.
 *
 * Throws a TypeError with code ERR_JOBSERVER_NOT_SERIALIZABLE that names the
 * path to the part that cannot be sent; its cause is the original error.
 */
export function encode(value: unknown, root: string, send?: Send): Buffer {
  let refusal: unknown;
  if (!isSpecialOnTop(value)) {
    try {
      const bytes = write(value);
      // A tree has hardly more objects than this.
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

// Told by its text: V8 throws it in whatever realm it is in.
function isOverflow(refusal: unknown): boolean {
  if (refusal instanceof TooDeep) return true;
  return (
    types.isNativeError(refusal) &&
    refusal.message === 'Maximum call stack size exceeded'
  );
}

/**
 * The value that `encode` or `encodeThrown` made bytes of. Views in it may
 * share the memory of `bytes`, which are given away. `revive` turns the plain
 * data of a handle back into the handle, once per handle. Plain objects are
 * made in the main realm, errors in the realm of this module.
 *
 * Throws an Error with code ERR_JOBSERVER_NOT_RECONSTRUCTABLE, whatever the
 * bytes are; its cause is the original error.
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
 * What was thrown as bytes for `decode`. Never throws: what cannot travel is
 * left out of an error, or told as text.
 */
export function encodeThrown(thrown: unknown): Buffer {
  try {
    return encode(thrown, 'thrown');
  } catch {
    // Whatever was refused, its text is not.
    return encode(toldAsText(thrown), 'thrown');
  }
}

function toldAsText(thrown: unknown): Error {
  return codedError(
    'ERR_JOBSERVER_NOT_SERIALIZABLE',
    `What was thrown is not serializable: ${describe(thrown)}`,
  );
}
