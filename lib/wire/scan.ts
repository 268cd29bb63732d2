// The search for what V8 would lose in silence: errors, handles, and what must
// not travel. It runs on every value that is sent, after V8 has encoded it, and
// has to cost less than that.

import {
  familyOf,
  hasNamedProperties,
  isSpecial,
  kindOf,
  sendable,
  unsendable,
} from './kind.js';
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
 * throws counts as a yes. To remember what was visited costs more than all the
 * rest, so it begins after `budget` objects: a tree that has fewer is never
 * remembered, and a cycle or a shared part is visited again until then.
 */
export function hasSpecials(root: object, budget: number): boolean {
  try {
    return scan(root, budget);
  } catch {
    // The copy meets the same getter, and says where it is.
    return true;
  }
}

function scan(root: object, budget: number): boolean {
  const seen = new Set<object>();
  const pending: object[] = [root];
  let lastPrototype: object | null = null;
  let isPlain = true;

  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (budget > 0) budget -= 1;
    else if (seen.has(node)) continue;
    else seen.add(node);

    const prototype = Object.getPrototypeOf(node) as object | null;
    if (prototype === Object.prototype) {
      // Inherited properties do no harm here, and a list of keys costs time.
      for (const key in node) pushProperty(node, key, pending);
      continue;
    }
    if (prototype === Array.prototype && Array.isArray(node)) {
      pushElements(node, pending);
      continue;
    }
    if (prototype !== lastPrototype) {
      lastPrototype = prototype;
      isPlain = prototype !== null && familyOf(prototype) === 'plain';
    }
    if (isPlain && !(sendable in node) && !(unsendable in node)) {
      pushProperties(node, Object.keys(node), pending);
      continue;
    }
    const kind = kindOf(node);
    if (isSpecial(kind)) return true;
    pushParts(node, kind, pending);
  }
  return false;
}

function pushParts(node: object, kind: Kind, pending: object[]): void {
  const push = (value: unknown): void => {
    if (isObject(value)) pending.push(value);
  };
  if (kind === 'array') pushElements(node as unknown[], pending);
  else if (kind === 'object') pushProperties(node, Object.keys(node), pending);
  else if (kind === 'set') Set.prototype.forEach.call(node, push);
  else if (kind === 'map') {
    Map.prototype.forEach.call(node, (value, key) => {
      push(key);
      push(value);
    });
  }
}

function pushElements(array: readonly unknown[], pending: object[]): void {
  const { length } = array;
  for (let i = 0; i < length; i += 1) {
    const value = array[i];
    if (typeof value === 'object' && value !== null) pending.push(value);
    else if (value === undefined && !Object.hasOwn(array, i)) {
      // Sparse, and maybe much longer than what is in it.
      pushProperties(array, Object.keys(array), pending);
      return;
    }
  }
  if (hasNamedProperties(array)) {
    pushProperties(array, Object.keys(array).slice(length), pending);
  }
}

function pushProperties(
  node: object,
  keys: readonly string[],
  pending: object[],
): void {
  for (const key of keys) pushProperty(node, key, pending);
}

function pushProperty(node: object, key: string, pending: object[]): void {
  const value = (node as Record<string, unknown>)[key];
  if (typeof value === 'object' && value !== null) pending.push(value);
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
