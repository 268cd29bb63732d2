// Copies the plain containers of a value. In the copy, placeholders stand for
// errors and handles; see stream.ts. A part that V8 refuses is copied as it is,
// and a part that must not or cannot be read is replaced by a function: writing
// the copy fails for both, and offender.ts then looks for the part.

import { describe, takeApart } from './error.js';
import type { Field } from './error.js';
import { hasNamedProperties, kindOf } from './kind.js';
import type { OutOfBand } from './out-of-band.js';
import { isObject } from './scan.js';
import { tryField } from './stream.js';
import type { Message } from './stream.js';

// V8 gives up at a much smaller depth, but only once the whole copy is made; a
// getter that returns a new object each time would make the copy endless.
const maxDepth = 100_000;

// V8 ends the process when an array grows beyond what it can hold.
const maxElements = 80_000_000;

/** Thrown by `copyMessage` for a value that is nested too deeply for V8. */
export class TooDeep extends Error {}

/** Turns a handle into plain data; see `encode`. */
export type Send = (handle: object) => unknown;

/** A message that V8 may still refuse. */
export function copyMessage(
  value: unknown,
  send: Send | undefined,
  beside: OutOfBand | undefined,
): Message {
  return new MessageCopy(send, beside).of(value);
}

/**
 * One message while it is being made. A container is copied empty, and filled
 * later from a list, so that a deep value does not overflow the stack.
 */
class MessageCopy {
  readonly #send: Send | undefined;
  readonly #beside: OutOfBand | undefined;
  readonly #message: Message = {
    root: undefined,
    placeholders: new Map(),
    heads: [],
    fields: [],
  };
  readonly #copies = new Map<object, unknown>();
  readonly #unfilled: { depth: number; fill: () => void }[] = [];
  /** Of the container that is being filled. */
  #depth = 0;

  constructor(send: Send | undefined, beside: OutOfBand | undefined) {
    this.#send = send;
    this.#beside = beside;
  }

  of(value: unknown): Message {
    const message = this.#message;
    message.root = this.#copy(value);
    for (let next; (next = this.#unfilled.pop()) !== undefined;) {
      this.#depth = next.depth;
      if (next.depth > maxDepth) throw new TooDeep();
      next.fill();
    }
    for (const fields of message.fields) dropRefused(fields);
    return message;
  }

  #copy(source: unknown): unknown {
    if (!isObject(source)) return source;
    if (this.#copies.has(source)) return this.#copies.get(source);
    switch (kindOf(source)) {
      case 'array':
        return this.#copyArray(source as unknown[]);
      case 'map':
        return this.#copyMap(source);
      case 'set':
        return this.#copySet(source);
      case 'object':
        return this.#copyObject(source);
      case 'error':
        return this.#copyError(source);
      case 'handle':
        return this.#copyHandle(source);
      case 'unsendable':
      case 'host':
        return refused;
      case 'leaf':
        this.#beside?.note(source);
        return source;
      case 'proxy':
        return source;
    }
  }

  #copyArray(source: readonly unknown[]): unknown[] {
    const copy: unknown[] = [];
    this.#fillLater(source, copy, () => this.#copyElements(source, copy));
    return copy;
  }

  #copyMap(source: object): Map<unknown, unknown> {
    const copy = new Map<unknown, unknown>();
    this.#fillLater(source, copy, () =>
      Map.prototype.forEach.call(source, (value, key) => {
        copy.set(this.#copy(key), this.#copy(value));
      }),
    );
    return copy;
  }

  #copySet(source: object): Set<unknown> {
    const copy = new Set<unknown>();
    this.#fillLater(source, copy, () =>
      Set.prototype.forEach.call(source, (item) => copy.add(this.#copy(item))),
    );
    return copy;
  }

  #copyObject(source: object): object {
    const keys = Object.keys(source);
    // It contains nothing to replace, and V8 decides whether it accepts it.
    if (keys.length === 0) return source;
    const copy = {};
    this.#fillLater(source, copy, () =>
      this.#copyProperties(source, keys, copy),
    );
    return copy;
  }

  #copyError(source: object): object {
    const { head, fields } = takeApart(source);
    const copies: Field[] = [];
    const copy = this.#placeholder(source, head, copies);
    this.#fillLater(source, copy, () => {
      for (const [key, isEnumerable, value] of fields) {
        copies.push([key, isEnumerable, this.#copy(value)]);
      }
    });
    return copy;
  }

  #copyHandle(source: object): unknown {
    if (this.#send === undefined) return refused;
    try {
      return this.#placeholder(source, { handle: this.#send(source) }, []);
    } catch {
      // offender.ts calls `send` again and reports what it throws.
      return refused;
    }
  }

  #placeholder(
    source: object,
    head: Message['heads'][number],
    fields: Field[],
  ): object {
    const copy = new Uint8Array(0);
    this.#message.placeholders.set(copy, this.#message.heads.length);
    this.#message.heads.push(head);
    this.#message.fields.push(fields);
    this.#copies.set(source, copy);
    return copy;
  }

  #fillLater(source: object, copy: object, fill: () => void): void {
    this.#copies.set(source, copy);
    this.#unfilled.push({ depth: this.#depth + 1, fill });
  }

  #copyElements(source: readonly unknown[], copy: unknown[]): void {
    const { length } = source;
    for (let i = 0; i < length; i += 1) {
      if (!Object.hasOwn(source, i)) {
        copy.length = length;
        this.#copyProperties(source, Object.keys(source), copy);
        return;
      }
      if (i > maxElements) throw new Error('An array is too long to be copied');
      copy.push(this.#copyProperty(source, i));
    }
    if (!hasNamedProperties(source)) return;
    this.#copyProperties(source, Object.keys(source).slice(length), copy);
  }

  #copyProperties(source: object, keys: readonly string[], copy: object): void {
    for (const key of keys) {
      const value = this.#copyProperty(source, key);
      if (key === '__proto__') defineValue(copy, key, value);
      else (copy as Record<string, unknown>)[key] = value;
    }
  }

  #copyProperty(source: object, key: string | number): unknown {
    let value: unknown;
    try {
      value = (source as Record<string | number, unknown>)[key];
    } catch {
      // offender.ts reads the property again and reports what it throws.
      return refused;
    }
    return this.#copy(value);
  }
}

// Stands for a part that must not or cannot be read: V8 refuses a function.
function refused(): void {}

function defineValue(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  });
}

/** Removes every property that V8 refuses from the errors of a message. */
export function prune(message: Message): void {
  for (const fields of message.fields) {
    for (const field of fields) pruneField(field, message);
    dropRefused(fields);
  }
}

function pruneField(field: Field, message: Message): void {
  const [key, , value] = field;
  if (!isObject(value) || isAccepted(value, message)) return;
  // Promise.any puts all rejections here: those that V8 accepts are kept.
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
