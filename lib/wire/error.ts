// Takes an error apart into the names of its classes and plain fields, and makes
// it again from these. No constructor of user code is called: an error of an
// unknown class becomes an error of an empty class with the same name, which
// extends the nearest known class.

import { inspect, types } from 'node:util';
import { AbortError, Blocked, CallbackRaised, LostResult } from '../errors.js';
import { constructorName, isBuiltinFunction } from './class-name.js';

/** A property of an error: its key, whether it is enumerable, its value. */
export type Field = [key: string, isEnumerable: boolean, value: unknown];

export interface ErrorHead {
  /** The name of the nearest known class. */
  readonly known: string;
  /** The name of the class of the error, where it is another. */
  readonly own?: string;
  /** Of a DOMException only, because its constructor needs them. */
  readonly name?: string;
  readonly message?: string;
}

// Properties that travel even where they are not enumerable.
const standardKeys = [
  'name',
  'message',
  'stack',
  'cause',
  'errors', // of AggregateError
  'error', // of SuppressedError
  'suppressed', // of SuppressedError
];

const builtinNames = [
  'Error',
  'AggregateError',
  'EvalError',
  'RangeError',
  'ReferenceError',
  'SuppressedError',
  'SyntaxError',
  'TypeError',
  'URIError',
];
const webAssemblyNames = ['CompileError', 'LinkError', 'RuntimeError'];

type Namespace = Record<string, { prototype: object } | undefined>;

const prototypes = new Map<string, object>();
addClasses(builtinNames, globalThis as unknown as Namespace);
addClasses(['DOMException'], globalThis as unknown as Namespace);
addClasses(
  webAssemblyNames,
  ((globalThis as Record<string, unknown>)['WebAssembly'] ?? {}) as Namespace,
);
addClasses(['AbortError', 'Blocked', 'CallbackRaised', 'LostResult'], {
  AbortError,
  Blocked,
  CallbackRaised,
  LostResult,
});
const names = new Map([...prototypes].map(([name, proto]) => [proto, name]));

function addClasses(list: readonly string[], namespace: Namespace): void {
  for (const name of list) {
    const prototype = namespace[name]?.prototype;
    if (prototype !== undefined) prototypes.set(name, prototype);
  }
}

/** The first known class along a prototype chain. */
export function knownErrorClass(prototype: object | null): string | undefined {
  let link = prototype;
  while (link !== null && !types.isProxy(link)) {
    const name = names.get(link) ?? nameInOtherRealm(link);
    if (name !== undefined) return name;
    link = Object.getPrototypeOf(link) as object | null;
  }
  return undefined;
}

function nameInOtherRealm(prototype: object): string | undefined {
  const own = Object.getOwnPropertyDescriptor(prototype, 'constructor');
  const constructor: unknown = own?.value;
  if (!isBuiltinFunction(constructor)) return undefined;
  const { name } = constructor;
  const isKnown =
    builtinNames.includes(name) || webAssemblyNames.includes(name);
  return isKnown ? name : undefined;
}

/**
 * The class and fields of an error. A field that cannot be read is left out, or
 * replaced by a text that says so.
 */
export function takeApart(error: object): { head: ErrorHead; fields: Field[] } {
  const known =
    knownErrorClass(Object.getPrototypeOf(error) as object) ?? 'Error';
  const isDom = known === 'DOMException';
  const fields: Field[] = [];
  for (const key of standardKeys) {
    if (isDom && (key === 'name' || key === 'message')) continue;
    const field = standardField(error, key, prototypes.get(known));
    if (field !== undefined) fields.push(field);
  }
  for (const key of Object.keys(error)) {
    if (standardKeys.includes(key)) continue;
    try {
      fields.push([key, true, read(error, key)]);
    } catch {
      // A getter threw: the error travels without this property.
    }
  }
  const own = constructorName(error) ?? known;
  const head: ErrorHead = {
    known,
    ...(own !== known && { own }),
    ...(isDom && {
      name: textOf(error, 'name', 'Error'),
      message: textOf(error, 'message', ''),
    }),
  };
  return { head, fields };
}

function standardField(
  error: object,
  key: string,
  prototype: object | undefined,
): Field | undefined {
  const own = Object.getOwnPropertyDescriptor(error, key);
  const isEnumerable = own?.enumerable ?? false;
  try {
    const value = read(error, key);
    if (key === 'stack' && value !== undefined && typeof value !== 'string') {
      return [key, isEnumerable, headline(error)];
    }
    if (own === undefined && value === (prototype && read(prototype, key))) {
      return undefined;
    }
    return [key, isEnumerable, value];
  } catch (thrown) {
    if (key === 'stack') return [key, isEnumerable, headline(error)];
    if (key !== 'message') return undefined;
    return [key, isEnumerable, unreadable(thrown)];
  }
}

function read(target: object, key: string): unknown {
  return (target as Record<string, unknown>)[key];
}

function textOf(error: object, key: string, otherwise: string): string {
  try {
    const value = read(error, key);
    return typeof value === 'string' ? value : otherwise;
  } catch (thrown) {
    return key === 'message' ? unreadable(thrown) : otherwise;
  }
}

function headline(error: object): string {
  return `${textOf(error, 'name', 'Error')}: ${textOf(error, 'message', '')}`;
}

function unreadable(thrown: unknown): string {
  return `The message of this error could not be read: ${describe(thrown)}`;
}

/** A value as text for a message; never throws. */
export function describe(value: unknown): string {
  try {
    if (types.isNativeError(value)) return value.message;
    const text = inspect(value, { depth: 2, breakLength: Infinity });
    return text.length > 2000 ? `${text.slice(0, 2000)}…` : text;
  } catch {
    // The value has an inspect function of its own, which threw.
    return 'a value that cannot be shown';
  }
}

/**
 * An error of the given class, without fields; `fill` adds them. Throws when
 * the known class is unknown here.
 */
export function blankError(head: ErrorHead): object {
  return withoutTrace(() => {
    const { known, own, name, message } = head;
    if (known === 'DOMException' && !prototypes.has(known)) {
      return fill(new Error(), [
        ['name', false, name],
        ['message', false, message],
      ]);
    }
    const prototype = prototypes.get(known);
    if (prototype === undefined) throw new Error(`No class is named ${known}`);
    const error =
      known === 'DOMException' ? new DOMException(message, name) : new Error();
    return Object.setPrototypeOf(
      error,
      own === undefined ? prototype : ownPrototype(own, prototype),
    ) as object;
  });
}

// Errors of one class share a prototype, because comparisons of errors compare
// their prototypes.
const ownPrototypes = new Map<object, Map<string, object>>();
const maxOwnPrototypes = 1000;

/** The prototype of an empty class that only has the name. */
function ownPrototype(name: string, prototype: object): object {
  const byName = ownPrototypes.get(prototype) ?? new Map<string, object>();
  ownPrototypes.set(prototype, byName);
  let own = byName.get(name);
  if (own === undefined) {
    own = { [name]: class {} }[name]!.prototype;
    Object.setPrototypeOf(own, prototype);
    // Jobs may make classes without end.
    if (byName.size >= maxOwnPrototypes) byName.clear();
    byName.set(name, own);
  }
  return own;
}

// A stack trace recorded here would keep the decoder's frames in memory.
function withoutTrace(make: () => object): object {
  const limit = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit');
  Reflect.set(Error, 'stackTraceLimit', 0);
  try {
    const error = make();
    Reflect.deleteProperty(error, 'stack');
    return error;
  } finally {
    if (limit === undefined) Reflect.deleteProperty(Error, 'stackTraceLimit');
    else Reflect.set(Error, 'stackTraceLimit', limit.value);
  }
}

/** Defines the fields that `takeApart` returned. */
export function fill<T extends object>(error: T, fields: readonly Field[]): T {
  for (const [key, isEnumerable, value] of fields) {
    Object.defineProperty(error, key, {
      value,
      enumerable: isEnumerable,
      writable: true,
      configurable: true,
    });
  }
  return error;
}
