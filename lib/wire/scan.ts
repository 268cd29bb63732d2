// The search for what V8 would lose in silence: errors, handles, and what must
// not travel. It runs on every value that is sent, after V8 has encoded it, and
// has to cost less than that.

import { familyOf, hasNamedProperties, isSpecial, kindOf } from './kind.js';
import type { Kind } from './kind.js';

/** A look at the surface, before V8 has walked through all of a handle. */
export function isSpecialOnTop(value: unknown): boolean {
  if (!isObject(value)) return false;
  const kind = kindOf(value);
  if (kind !== 'array') return isSpecial(kind);
  const array = value as readonly unknown[];
  try {
    for (let i = 0; i < array.length && i < 16; i += 1) {
      const item = array[i];
      if (isObject(item) && isSpecial(kindOf(item))) return true;
    }
  } catch {
    // A getter; V8 meets it, too, and the refusal is explained there.
  }
  return false;
}

/**
 * Whether a value that V8 has encoded holds anything special. A getter that
 * throws counts as a yes. To remember a visit costs more than the visit, so
 * what has few parts is remembered after `budget` visits only: a smaller tree
 * never is, and a cycle or a shared part is visited again until then.
 */
export function hasSpecials(root: object, budget: number): boolean {
  try {
    return scan(root, budget);
  } catch {
    // The copy meets the same getter, and says where it is.
    return true;
  }
}

const fewParts = 8;

function scan(root: object, budget: number): boolean {
  const seen = new Set<object>();
  const pending: Pending = { nodes: [root], rests: [] };
  let lastPrototype: object | null = null;
  let isPlain = false;

  for (let node = next(pending); node !== undefined; node = next(pending)) {
    if (seen.size !== 0 && seen.has(node)) continue;
    const before = pending.nodes.length;
    const prototype = Object.getPrototypeOf(node) as object | null;
    if (prototype === Object.prototype) {
      // Inherited properties do no harm here, and a list of keys costs time.
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
      pushParts(node, kind, pending);
    }
    budget -= 1;
    if (budget < 0 || pending.nodes.length - before > fewParts) seen.add(node);
  }
  return false;
}

// A class is marked in all of its instances or in none.
function isPlainClass(node: object, prototype: object | null): boolean {
  return (
    prototype !== null &&
    familyOf(prototype) === 'plain' &&
    kindOf(node) === 'object'
  );
}

/** What is to be visited, and the arrays that are not yet pushed to the end. */
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

function pushParts(node: object, kind: Kind, pending: Pending): void {
  if (kind === 'array') pushElements(node as unknown[], 0, pending);
  else if (kind === 'object') {
    // Faster than a list of the keys.
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

// V8 ends the process when an array of pending nodes gets too long.
const chunk = 1 << 20;

function pushElements(
  array: readonly unknown[],
  from: number,
  pending: Pending,
): void {
  const { length } = array;
  const end = Math.min(length, from + chunk);
  for (let i = from; i < end; i += 1) {
    const value = array[i];
    if (typeof value === 'object') push(value, pending);
    else if (value === undefined && !Object.hasOwn(array, i)) {
      // Sparse, and maybe much longer than what is in it.
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
