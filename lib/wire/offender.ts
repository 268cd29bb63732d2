// Where in a value the part is that cannot be sent. Walks after a failure only;
// nothing depends on it but the text of the error.

import { types } from 'node:util';
import type { Send } from './copy.js';
import { describe } from './error.js';
import { className, kindOf, unsendable } from './kind.js';
import { isObject } from './scan.js';
import { write } from './stream.js';

/** `args[0].log is a function`, and what was thrown about it, if anything. */
export interface Offender {
  text: string;
  cause?: unknown;
}

interface Place {
  value: unknown;
  step: string;
  from: Place | undefined;
}

// A getter may make objects without end.
const maxVisits = 1_000_000;
const maxPathLength = 200;

export function findOffender(
  value: unknown,
  root: string,
  send: Send | undefined,
): Offender | undefined {
  const places: Place[] = [{ value, step: root, from: undefined }];
  const seen = new Set<object>();
  for (const place of places) {
    if (places.length > maxVisits) break;
    if (isObject(place.value)) {
      if (seen.has(place.value)) continue;
      seen.add(place.value);
    }
    const fault = faultOf(place.value, send);
    if (fault !== undefined) return offender(place, fault);
    if (!isObject(place.value)) continue;
    const unreadable = pushParts(place.value, place, places);
    if (unreadable !== undefined) return unreadable;
  }
  return undefined;
}

function offender(place: Place, fault: Offender): Offender {
  return { ...fault, text: `${pathTo(place)} ${fault.text}` };
}

function pathTo(place: Place): string {
  const steps: string[] = [];
  for (let at: Place | undefined = place; at !== undefined; at = at.from) {
    steps.push(at.step);
  }
  const path = steps.reverse().join('');
  if (path.length <= maxPathLength) return path;
  const half = maxPathLength / 2;
  return `${path.slice(0, half)}…${path.slice(-half)}`;
}

function faultOf(value: unknown, send: Send | undefined): Offender | undefined {
  if (isRefused(value)) {
    return { text: `is a ${typeof value}`, cause: refusalOf(value) };
  }
  if (!isObject(value)) return undefined;
  switch (kindOf(value)) {
    case 'proxy':
      return { text: 'is a Proxy', cause: refusalOf(value) };
    case 'unsendable':
      return { text: `${instance(value)}${reasonOf(value)}` };
    case 'handle':
      return faultOfHandle(value, send);
    case 'leaf':
      return faultOfLeaf(value);
    case 'object':
      return Object.keys(value).length === 0 ? faultOfLeaf(value) : undefined;
    case 'array':
    case 'map':
    case 'set':
    case 'error':
      return undefined;
  }
}

function reasonOf(value: { [unsendable]?: unknown }): string {
  try {
    const reason = value[unsendable];
    return typeof reason === 'string' ? `: ${reason}` : '';
  } catch {
    // Its getter threw, and the class is named already.
    return '';
  }
}

function refusalOf(value: unknown): unknown {
  try {
    write(value);
    return undefined;
  } catch (refusal) {
    return refusal;
  }
}

function instance(value: object): string {
  return `is an instance of ${className(value)}`;
}

function faultOfHandle(
  handle: object,
  send: Send | undefined,
): Offender | undefined {
  if (send === undefined) {
    return { text: `${instance(handle)}, which cannot be sent here` };
  }
  try {
    write(send(handle));
    return undefined;
  } catch (cause) {
    return {
      text: `${instance(handle)} that cannot be sent: ${describe(cause)}`,
      cause,
    };
  }
}

function faultOfLeaf(value: object): Offender | undefined {
  const isView = ArrayBuffer.isView(value);
  if (isView && types.isSharedArrayBuffer(value.buffer)) {
    return { text: 'is a view of a SharedArrayBuffer' };
  }
  if (isView || types.isArrayBuffer(value)) return faultOfMemory(value);
  const cause = refusalOf(value);
  return cause === undefined ? undefined : { text: instance(value), cause };
}

function faultOfMemory(
  memory: ArrayBufferView | ArrayBuffer,
): Offender | undefined {
  const isView = ArrayBuffer.isView(memory);
  try {
    // Not written out: it may be large.
    if (isView) new Uint8Array(memory.buffer, memory.byteOffset, 0);
    else new Uint8Array(memory);
    return undefined;
  } catch (cause) {
    return { text: `${instance(memory)} that is detached`, cause };
  }
}

// Gives the part that cannot be read, if there is one.
function pushParts(
  whole: object,
  from: Place,
  places: Place[],
): Offender | undefined {
  const push = (step: string, value: unknown): void => {
    const isPart = isObject(value) || isRefused(value);
    if (isPart && places.length <= maxVisits)
      places.push({ value, step, from });
  };
  switch (kindOf(whole)) {
    case 'map': {
      let i = 0;
      Map.prototype.forEach.call(whole, (value, key) => {
        push(`.keys()[${i}]`, key);
        push(stepToValue(key, i), value);
        i += 1;
      });
      break;
    }
    case 'set': {
      let i = 0;
      Set.prototype.forEach.call(whole, (item) => {
        push(`.values()[${i}]`, item);
        i += 1;
      });
      break;
    }
    case 'array':
    case 'object':
      for (const key of keysOf(whole)) {
        const step = stepTo(key, Array.isArray(whole));
        let value: unknown;
        try {
          value = (whole as Record<string | number, unknown>)[key];
        } catch (thrown) {
          return offender(
            { value: undefined, step, from },
            { text: `cannot be read: ${describe(thrown)}`, cause: thrown },
          );
        }
        push(step, value);
      }
      break;
    default:
      break;
  }
  return undefined;
}

function isRefused(value: unknown): boolean {
  return typeof value === 'function' || typeof value === 'symbol';
}

// The keys of a long array are more than fit into memory.
function* keysOf(whole: object): Generator<string | number> {
  let i = 0;
  if (Array.isArray(whole)) {
    while (Object.hasOwn(whole, i) && i < maxVisits) yield i++;
  }
  if (i < maxVisits) yield* Object.keys(whole).slice(i);
}

function stepTo(key: string | number, isArray: boolean): string {
  if (typeof key === 'number' || (isArray && /^\d+$/.test(key))) {
    return `[${key}]`;
  }
  if (/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key)) return `.${key}`;
  return `[${JSON.stringify(key)}]`;
}

function stepToValue(key: unknown, index: number): string {
  return isObject(key) || typeof key === 'function' || typeof key === 'symbol'
    ? `.values()[${index}]`
    : `.get(${describe(key)})`;
}
