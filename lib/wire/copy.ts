// A copy of the plain containers of a value, in which placeholders stand for
// errors and handles; see stream.ts. It never fails for what it finds: what V8
// refuses stays in the copy, and a function takes the place of the rest.

import { describe, takeApart } from './error.js';
import type { Field } from './error.js';
import { hasNamedProperties, kindOf } from './kind.js';
import { isObject } from './scan.js';
import { tryField } from './stream.js';
import type { Message } from './stream.js';

// V8 gives up long before; a getter that makes objects without end does not.
const maxDepth = 100_000;

// V8 ends the process when an array grows beyond what it can hold.
const maxElements = 80_000_000;

/** Thrown by `copyMessage` before V8 would. */
export class TooDeep extends Error {}

export type Send = (handle: object) => unknown;

/**
 * A message that V8 may still refuse. Long, since all its parts share what is
 * copied and what is still to be filled.
 */
export function copyMessage(value: unknown, send: Send | undefined): Message {
  const message: Message = {
    root: undefined,
    placeholders: new Map(),
    heads: [],
    fields: [],
  };
  const copies = new Map<object, unknown>();
  const pending: { depth: number; run: () => void }[] = [];
  let depth = 0;

  const later = <T>(source: object, copy: T, run: () => void): T => {
    copies.set(source, copy);
    pending.push({ depth: depth + 1, run });
    return copy;
  };
  const placeholder = (source: object, head: Message['heads'][0]): object => {
    const copy = new Uint8Array(0);
    message.placeholders.set(copy, message.heads.length);
    message.heads.push(head);
    message.fields.push([]);
    copies.set(source, copy);
    return copy;
  };
  const copyError = (source: object): object => {
    const { head, fields } = takeApart(source);
    const copy = placeholder(source, head);
    const own = message.fields[message.fields.length - 1];
    return later(source, copy, () => {
      for (const [key, isEnumerable, field] of fields) {
        own?.push([key, isEnumerable, copyOf(field)]);
      }
    });
  };
  const copyHandle = (source: object): unknown => {
    if (send === undefined) return refused;
    try {
      return placeholder(source, { handle: send(source) });
    } catch {
      // The search for the offender asks again, and tells what was thrown.
      return refused;
    }
  };
  const copyOf = (source: unknown): unknown => {
    if (!isObject(source)) return source;
    if (copies.has(source)) return copies.get(source);
    switch (kindOf(source)) {
      case 'array': {
        const copy: unknown[] = [];
        const array = source as unknown[];
        return later(source, copy, () => copyElements(array, copy, copyOf));
      }
      case 'map': {
        const copy = new Map<unknown, unknown>();
        return later(source, copy, () =>
          Map.prototype.forEach.call(source, (value, key) => {
            copy.set(copyOf(key), copyOf(value));
          }),
        );
      }
      case 'set': {
        const copy = new Set<unknown>();
        return later(source, copy, () =>
          Set.prototype.forEach.call(source, (item) => copy.add(copyOf(item))),
        );
      }
      case 'object': {
        const keys = Object.keys(source);
        // Nothing to replace in it; V8 sees what it is.
        if (keys.length === 0) return source;
        const copy = {};
        return later(source, copy, () =>
          copyProperties(source, keys, copy, copyOf),
        );
      }
      case 'error':
        return copyError(source);
      case 'handle':
        return copyHandle(source);
      case 'unsendable':
        return refused;
      case 'proxy':
      case 'leaf':
        return source;
    }
  };

  message.root = copyOf(value);
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    ({ depth } = next);
    if (depth > maxDepth) throw new TooDeep();
    next.run();
  }
  for (const fields of message.fields) dropRefused(fields);
  return message;
}

// In the place of what must not or cannot be read: V8 refuses a function.
function refused(): void {}

type Copy = (value: unknown) => unknown;

function copyElements(
  source: readonly unknown[],
  copy: unknown[],
  copyOf: Copy,
): void {
  const { length } = source;
  for (let i = 0; i < length; i += 1) {
    if (!Object.hasOwn(source, i)) {
      copy.length = length;
      copyProperties(source, Object.keys(source), copy, copyOf);
      return;
    }
    if (i > maxElements) throw new Error('An array is too long to be copied');
    copy.push(copyProperty(source, i, copyOf));
  }
  if (!hasNamedProperties(source)) return;
  copyProperties(source, Object.keys(source).slice(length), copy, copyOf);
}

function copyProperties(
  source: object,
  keys: readonly (string | number)[],
  copy: object,
  copyOf: Copy,
): void {
  for (const key of keys) {
    const value = copyProperty(source, key, copyOf);
    if (key === '__proto__') defineValue(copy, key, value);
    else (copy as Record<string | number, unknown>)[key] = value;
  }
}

function copyProperty(
  source: object,
  key: string | number,
  copyOf: Copy,
): unknown {
  let value: unknown;
  try {
    value = (source as Record<string | number, unknown>)[key];
  } catch {
    // The search for the offender reads it again, and tells what was thrown.
    return refused;
  }
  return copyOf(value);
}

function defineValue(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  });
}

/** Takes from the errors of a message every property that V8 refuses. */
export function prune(message: Message): void {
  for (const fields of message.fields) {
    for (const field of fields) pruneField(field, message);
    dropRefused(fields);
  }
}

function pruneField(field: Field, message: Message): void {
  const [key, , value] = field;
  if (!isObject(value) || isAccepted(value, message)) return;
  // Promise.any collects what others rejected with; the rest shall arrive.
  if (key === 'errors' && Array.isArray(value)) {
    field[2] = value.map((item: unknown) =>
      isAccepted(item, message) ? item : describe(item),
    );
  } else field[2] = refused;
}

function isAccepted(value: unknown, message: Message): boolean {
  if (isObject(value) && message.placeholders.has(value)) return true;
  try {
    tryField(value, message);
    return true;
  } catch {
    return false;
  }
}

function dropRefused(fields: Field[]): void {
  const kept = fields.filter(
    ([, , value]) => typeof value !== 'function' && typeof value !== 'symbol',
  );
  fields.splice(0, fields.length, ...kept);
}
