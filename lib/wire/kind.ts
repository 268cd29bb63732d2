// Classifies the objects in a value that is to be encoded. An object may come
// from another realm (jest runs this file in a vm context), and its traps and
// getters may throw. The checks of internal slots therefore come before those
// of prototypes, and comparisons by identity before those by name.

import { inspect, types } from 'node:util';
import { isBuiltinFunction } from './class-name.js';
import { knownErrorClass } from './error.js';
import { isCompiledModule, isHostPrototype } from './host.js';

/** Marks a class whose instances are sent as handles; see `encode`. */
export const sendable: unique symbol = Symbol.for('jobserver.sendable');

/**
 * Marks a class whose instances cannot be sent. The value of the property is
 * the reason, as in "a Future belongs to the process that submitted the job".
 */
export const unsendable: unique symbol = Symbol.for('jobserver.unsendable');

/** A leaf is passed to V8 unread: V8 encodes or refuses it as a whole. */
export type ValueKind =
  | 'array'
  | 'map'
  | 'set'
  | 'object'
  | 'error'
  | 'handle'
  | 'unsendable'
  | 'host'
  | 'proxy'
  | 'leaf';

export function kindOf(value: object): ValueKind {
  if (types.isProxy(value)) return 'proxy';
  try {
    return kindOfTarget(value);
  } catch {
    // A Proxy in the prototype chain threw. V8 does not look at prototypes.
    return 'leaf';
  }
}

/**
 * Whether V8 alone would encode the object wrongly: it drops most fields of an
 * error, and makes a plain object of a handle, an unsendable instance or an object
 * of the host.
 */
export function isSpecial(kind: ValueKind): boolean {
  return (
    kind === 'error' ||
    kind === 'handle' ||
    kind === 'unsendable' ||
    kind === 'host'
  );
}

function kindOfTarget(value: object): ValueKind {
  if (unsendable in value) return 'unsendable';
  if (sendable in value) return 'handle';
  const family = familyOf(Object.getPrototypeOf(value) as object | null);
  if (types.isNativeError(value) || family === 'error') return 'error';
  if (family === 'host') return 'host';
  if (Array.isArray(value)) return 'array';
  if (types.isMap(value)) return 'map';
  if (types.isSet(value)) return 'set';
  if (family === 'builtin' || hasOddSlots(value)) return 'leaf';
  return 'object';
}

// Builtins that V8 does not clone as plain objects, whatever their prototype.
function hasOddSlots(value: object): boolean {
  return (
    ArrayBuffer.isView(value) ||
    types.isAnyArrayBuffer(value) ||
    types.isBoxedPrimitive(value) ||
    types.isDate(value) ||
    types.isRegExp(value) ||
    types.isArgumentsObject(value) ||
    types.isModuleNamespaceObject(value)
  );
}

/** The class of an object as far as its prototype chain shows it. */
export type Family = 'plain' | 'error' | 'builtin' | 'host';

const families = new WeakMap<object, Family>();

export function familyOf(prototype: object | null): Family {
  if (prototype === null) return 'plain';
  let family = families.get(prototype);
  if (family === undefined) {
    family = familyByChain(prototype);
    families.set(prototype, family);
  }
  return family;
}

function familyByChain(prototype: object): Family {
  if (knownErrorClass(prototype) !== undefined) return 'error';
  let link: object | null = prototype;
  while (link !== null && !types.isProxy(link)) {
    const next = Object.getPrototypeOf(link) as object | null;
    // The last link is the Object.prototype of the object's realm.
    if (next === null) break;
    if (isBuiltinPrototype(link)) {
      return isCompiledModule(link) ? 'host' : 'builtin';
    }
    if (isHostPrototype(link, link === prototype)) return 'host';
    link = next;
  }
  return 'plain';
}

function isBuiltinPrototype(prototype: object): boolean {
  const own = Object.getOwnPropertyDescriptor(prototype, 'constructor');
  return isBuiltinFunction(own?.value);
}

const namesOnly = {
  breakLength: Infinity,
  colors: false,
  compact: 3,
  customInspect: false,
  depth: 0,
  getters: false,
  maxArrayLength: 0,
  showHidden: false,
};

/**
 * Whether an array without holes has properties other than its elements.
 * Listing all keys of a long array takes longer than encoding it, so the text
 * that `inspect` makes of it is compared: `inspect` finds such properties in
 * native code. A text of unknown form counts as a yes.
 */
export function hasNamedProperties(array: readonly unknown[]): boolean {
  const { length } = array;
  if (length < 16) return Object.keys(array).length !== length;
  return inspect(array, namesOnly) !== `[ ... ${length} more items ]`;
}
