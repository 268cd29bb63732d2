// Small plain values travel as JSON, which is several times faster for them than
// the structured clone. Only values that JSON brings back exactly: what the clone
// keeps and JSON loses (a second reference to an object, undefined, NaN, -0, …)
// is left to the clone.
import { types } from 'node:util';

const mostObjects = 16;
const mostDepth = 4;
// Characters of strings, and members.
const mostSize = 2048;

// `undefined` is no JSON. No JSON starts with this.
const undefinedText = 'u';

let size = 0;
const seen: object[] = [];

/** Undefined for a value that has to be cloned. */
export function textOf(value: unknown): string | undefined {
  if (value === undefined) return undefinedText;
  size = 0;
  try {
    return isExact(value, 0) ? JSON.stringify(value) : undefined;
  } catch {
    // A getter threw; the clone calls it again.
    return undefined;
  } finally {
    seen.length = 0;
  }
}

/** Whether bytes that were sent are a text, which starts with no control code. */
export function isText(bytes: Uint8Array): boolean {
  return bytes.length > 0 && isTextStart(bytes[0]!);
}

/** Whether bytes that begin with this one are a text. */
export function isTextStart(byte: number): boolean {
  return byte >= 0x20;
}

/** Throws when it is not what `textOf` returns. */
export function parseText(text: string): unknown {
  return text === undefinedText ? undefined : (JSON.parse(text) as unknown);
}

function isExact(value: unknown, depth: number): boolean {
  size += 1;
  switch (typeof value) {
    case 'string':
      size += value.length;
      return size <= mostSize;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0);
    case 'boolean':
      return true;
    case 'object':
      return value === null || isExactObject(value, depth);
    default:
      return false;
  }
}

function isExactObject(value: object, depth: number): boolean {
  if (types.isProxy(value) || depth === mostDepth) return false;
  if (seen.length === mostObjects || seen.includes(value)) return false;
  seen.push(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Array.prototype) return isExactArray(value, depth);
  if (prototype !== Object.prototype || 'toJSON' in value) return false;
  // A Date, or another builtin, whose prototype was replaced has another tag.
  if (Object.prototype.toString.call(value) !== '[object Object]') return false;
  for (const key in value) {
    size += key.length;
    const member = (value as Readonly<Record<string, unknown>>)[key];
    if (!isExact(member, depth + 1)) return false;
  }
  return size <= mostSize;
}

function isExactArray(array: object, depth: number): boolean {
  if (!Array.isArray(array) || 'toJSON' in array) return false;
  const { length } = array;
  if (size + length > mostSize) return false;
  // A hole reads as undefined, which is not exact.
  for (let i = 0; i < length; i++) {
    if (!isExact(array[i], depth + 1)) return false;
  }
  // Besides its elements, it may have named properties.
  return Object.keys(array).length === length;
}
