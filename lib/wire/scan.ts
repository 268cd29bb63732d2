// Searches a value for special objects (see `isSpecial`), which V8 encodes
// wrongly without an error. The search runs on every value that is sent, after
// V8 has encoded it, and must take less time than the encoding.

import { familyOf, hasNamedProperties, isSpecial, kindOf } from './kind.js';
import type { ValueKind } from './kind.js';
import type { OutOfBand } from './out-of-band.js';

// How many objects are looked at before V8 encodes a value.
const mostOnTop = 32;

/**
 * Whether one of the first objects of a value, level by level, is special. If so,
 * letting V8 walk through the whole of it first would be wasted time. Notes large
 * buffers among them, which V8 would otherwise write twice.
 */
export function isSpecialOnTop(value: unknown, beside?: OutOfBand): boolean {
  if (!isObject(value)) return false;
  const nodes = [value];
  try {
    for (let i = 0; i < nodes.length && i < mostOnTop; i += 1) {
      const node = nodes[i]!;
      const kind = kindOf(node);
      if (isSpecial(kind)) return true;
      if (kind === 'leaf') beside?.note(node);
      else pushFirst(node, kind, nodes);
    }
  } catch {
    // A getter threw. V8 calls it too, and `encode` reports that error.
  }
  return false;
}

function pushFirst(node: object, kind: ValueKind, nodes: object[]): void {
  let left = mostOnTop - nodes.length;
  if (kind === 'array') {
    const array = node as readonly unknown[];
    for (let i = 0; i < array.length && left > 0; i += 1, left -= 1) {
      const item = array[i];
      if (isObject(item)) nodes.push(item);
    }
  } else if (kind === 'object') {
    for (const key in node) {
      if (left === 0) return;
      left -= 1;
      const value = (node as Record<string, unknown>)[key];
      if (isObject(value)) nodes.push(value);
    }
  }
}

/**
 * Whether a value that V8 has encoded contains a special object. A getter that
 * throws counts as a yes.
 *
 * Remembering that an object was visited costs more than the visit. Objects
 * with few parts are therefore remembered only after `budget` visits: a cycle
 * or a shared object is visited again until then, and a tree that is smaller
 * than the budget is never remembered.
 *
 * Also notes each large buffer.
 */
export function hasSpecials(
  root: object,
  budget: number,
  beside?: OutOfBand,
): boolean {
  try {
    return scan(root, budget, beside);
  } catch {
    // The getter throws again while the value is copied, and is reported then.
    return true;
  }
}

/**
 * Visits what a value consists of besides its containers: its buffers and views,
 * among others. Calls no getter of an object, because the value need not be one that
 * can be sent.
 */
export function forEachLeaf(root: object, visit: (leaf: object) => void): void {
  const seen = new Set<object>();
  const pending: Pending = { nodes: [root], rests: [] };
  for (let node = next(pending); node !== undefined; node = next(pending)) {
    if (seen.has(node)) continue;
    seen.add(node);
    const kind = kindOf(node);
    if (kind === 'leaf') visit(node);
    else if (kind === 'object' || kind === 'error') pushValues(node, pending);
    else pushParts(node, kind, pending);
  }
}

function pushValues(node: object, pending: Pending): void {
  const properties = Object.getOwnPropertyDescriptors(node);
  for (const { value } of Object.values(properties)) push(value, pending);
}

const fewParts = 8;

function scan(
  root: object,
  budget: number,
  beside: OutOfBand | undefined,
): boolean {
  const seen = new Set<object>();
  const pending: Pending = { nodes: [root], rests: [] };
  let lastPrototype: object | null = null;
  let isPlain = false;

  for (let node = next(pending); node !== undefined; node = next(pending)) {
    if (seen.size !== 0 && seen.has(node)) continue;
    const before = pending.nodes.length;
    const prototype = Object.getPrototypeOf(node) as object | null;
    if (prototype === Object.prototype) {
      // The loop also visits inherited properties, which is harmless and faster
      // than a list of the object's own keys.
      for (const key in node) pushProperty(node, key, pending);
    } else if (prototype === Array.prototype && Array.isArray(node)) {
      pushElements(node, 0, pending);
    } else {
      if (prototype !== lastPrototype) {
        lastPrototype = prototype;
        isPlain = isPlainClass(node, prototype);
      }
      const kind = isPlain ? 'object' : kindOf(node);
      if (isSpecial(kind)) return true;
      if (kind === 'leaf') beside?.note(node);
      else pushParts(node, kind, pending);
    }
    budget -= 1;
    if (budget < 0 || pending.nodes.length - before > fewParts) seen.add(node);
  }
  return false;
}

// The result holds for every object with this prototype: `sendable` and
// `unsendable` mark either all instances of a class or none.
function isPlainClass(node: object, prototype: object | null): boolean {
  return (
    prototype !== null &&
    familyOf(prototype) === 'plain' &&
    kindOf(node) === 'object'
  );
}

/** Objects to visit, and arrays of which a part has not been pushed yet. */
interface Pending {
  nodes: object[];
  rests: { array: readonly unknown[]; from: number }[];
}

function next(pending: Pending): object | undefined {
  while (pending.nodes.length === 0) {
    const rest = pending.rests.pop();
    if (rest === undefined) return undefined;
    pushElements(rest.array, rest.from, pending);
  }
  return pending.nodes.pop();
}

function pushParts(node: object, kind: ValueKind, pending: Pending): void {
  if (kind === 'array') pushElements(node as unknown[], 0, pending);
  else if (kind === 'object') {
    // Faster than Object.keys.
    for (const key in node) {
      if (Object.hasOwn(node, key)) pushProperty(node, key, pending);
    }
  } else if (kind === 'set') {
    Set.prototype.forEach.call(node, (item) => push(item, pending));
  } else if (kind === 'map') {
    Map.prototype.forEach.call(node, (value, key) => {
      push(key, pending);
      push(value, pending);
    });
  }
}

// Elements pushed at a time. V8 ends the process when an array, here that of
// the pending nodes, gets too long.
const chunkLength = 1 << 20;

function pushElements(
  array: readonly unknown[],
  from: number,
  pending: Pending,
): void {
  const { length } = array;
  const end = Math.min(length, from + chunkLength);
  for (let i = from; i < end; i += 1) {
    const value = array[i];
    if (typeof value === 'object') push(value, pending);
    else if (value === undefined && !Object.hasOwn(array, i)) {
      // A sparse array may be much longer than its number of elements.
      pushProperties(array, Object.keys(array), pending);
      return;
    }
  }
  if (end < length) pending.rests.push({ array, from: end });
  else if (hasNamedProperties(array)) {
    pushProperties(array, Object.keys(array).slice(length), pending);
  }
}

function pushProperties(
  node: object,
  keys: readonly string[],
  pending: Pending,
): void {
  for (const key of keys) pushProperty(node, key, pending);
}

function pushProperty(node: object, key: string, pending: Pending): void {
  push((node as Record<string, unknown>)[key], pending);
}

function push(value: unknown, pending: Pending): void {
  if (isObject(value)) pending.nodes.push(value);
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
