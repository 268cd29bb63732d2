// Finds the part of a value that cannot be sent. It runs only after encoding
// has failed, and only the text of the error depends on it.

import { types } from 'node:util';
import { className } from './class-name.js';
import type { Send } from './copy.js';
import { describe } from './error.js';
import { substituteFor } from './host.js';
import { kindOf, unsendable } from './kind.js';
import { isObject } from './scan.js';
import { dataCloneError, write } from './stream.js';

/** A text such as `args[0].log is a function`, and the error that says so. */
export interface Offender {
  text: string;
  cause?: unknown;
}

/** A part of the value, and the path to it. */
interface Part {
  value: unknown;
  /** The last step of the path: `.log`, `[0]`; or the name of the root. */
  step: string;
  parent: Part | undefined;
}

// A getter may return a new object each time, without end.
const maxVisits = 1_000_000;
const maxPathLength = 200;

export function findOffender(
  value: unknown,
  root: string,
  send: Send | undefined,
): Offender | undefined {
  const parts: Part[] = [{ value, step: root, parent: undefined }];
  const seen = new Set<object>();
  for (const part of parts) {
    if (parts.length > maxVisits) break;
    if (isObject(part.value)) {
      if (seen.has(part.value)) continue;
      seen.add(part.value);
    }
    const fault = faultOf(part.value, send);
    if (fault !== undefined) return offender(part, fault);
    if (!isObject(part.value)) continue;
    const unreadable = pushParts(part.value, part, parts);
    if (unreadable !== undefined) return unreadable;
  }
  return undefined;
}

function offender(part: Part, fault: Offender): Offender {
  return { ...fault, text: `${pathTo(part)} ${fault.text}` };
}

function pathTo(part: Part): string {
  const steps: string[] = [];
  for (let link: Part | undefined = part; link; link = link.parent) {
    steps.push(link.step);
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
    case 'host':
      return faultOfHost(value);
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
    // The getter threw. The message names the class without a reason.
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
  if (cause === undefined) return undefined;
  return { text: `${instance(value)}${advice(value)}`, cause };
}

function faultOfHost(value: object): Offender {
  const text = `${instance(value)}${advice(value)}`;
  return { text, cause: dataCloneError(`The value ${text}`) };
}

function advice(value: object): string {
  const substitute = substituteFor(value);
  return substitute === undefined ? '' : `: send ${substitute}`;
}

function faultOfMemory(
  memory: ArrayBufferView | ArrayBuffer,
): Offender | undefined {
  const isView = ArrayBuffer.isView(memory);
  try {
    // Making a view fails for detached memory; encoding it would take long when
    // it is large.
    if (isView) new Uint8Array(memory.buffer, memory.byteOffset, 0);
    else new Uint8Array(memory);
    return undefined;
  } catch (cause) {
    return { text: `${instance(memory)} that is detached`, cause };
  }
}

// Returns the offender when a property cannot be read.
function pushParts(
  whole: object,
  parent: Part,
  parts: Part[],
): Offender | undefined {
  const push = (step: string, value: unknown): void => {
    const isSuspect = isObject(value) || isRefused(value);
    if (isSuspect && parts.length <= maxVisits)
      parts.push({ value, step, parent });
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
            { value: undefined, step, parent },
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

// The list of all keys of a long array may not fit into memory.
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
