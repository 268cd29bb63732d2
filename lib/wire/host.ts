// The objects that belong to their process: their data is not in properties, so V8
// would often send `{}` instead. `postMessage` refuses these objects, or takes them
// by means of the thread.
import { types } from 'node:util';
import { builtin } from '../system/builtins.js';
import { constructorName } from './class-name.js';

const event = 'what you need of it';
const stream = 'what was read from it, or the path of its file';
const fetched = 'its headers and its body';

/** What to send instead of an instance of a class. */
const substitutes: Readonly<Record<string, string>> = {
  AbortController: 'nothing: `signal` is an option of the call',
  AbortSignal: 'nothing: `signal` is an option of the call',
  Blob: 'its bytes: await blob.arrayBuffer()',
  BlockList: 'its rules',
  CryptoKey: 'what crypto.subtle.exportKey gives',
  Event: event,
  EventTarget: event,
  FileHandle: 'the path of the file',
  FormData: 'its entries',
  Headers: 'its entries: [...headers]',
  Histogram: 'its numbers',
  KeyObject: 'what its export method gives',
  MessagePort: 'the messages, as arguments and results',
  Module: 'the bytes that it was compiled from',
  ReadableStream: stream,
  Request: fetched,
  Response: fetched,
  SocketAddress: 'its address and port',
  Stream: stream,
  TransformStream: stream,
  URL: 'its href',
  URLSearchParams: 'its text: String(params)',
  WritableStream: stream,
  X509Certificate: 'its bytes: certificate.raw',
};

/**
 * What to send instead of the object, as the end of a sentence; undefined for one
 * of an unknown class.
 */
export function substituteFor(value: object): string | undefined {
  let link: object | null = value;
  while (link !== null && !types.isProxy(link)) {
    const name = constructorName(link);
    if (name !== undefined && Object.hasOwn(substitutes, name)) {
      return substitutes[name];
    }
    link = Object.getPrototypeOf(link) as object | null;
  }
  return undefined;
}

/** Whether objects with this prototype are compiled modules of WebAssembly. */
export function isCompiledModule(prototype: object): boolean {
  return tagOf(prototype) === 'WebAssembly.Module';
}

/**
 * Whether a link of a prototype chain is that of a class of the web, or of one that
 * Node clones or transfers itself. `isOwn`: it is the first link; other classes may
 * extend EventTarget and Event, and `postMessage` sends their properties.
 */
export function isHostPrototype(link: object, isOwn: boolean): boolean {
  const own = Object.getOwnPropertyDescriptor(link, 'constructor');
  if (typeof own?.value !== 'function') return false;
  const { name } = own.value as { name: unknown };
  if (name === 'Stream') return own.value === builtin('node:stream').Stream;
  const symbols = Object.getOwnPropertySymbols(link);
  if (symbols.length === 0) return false;
  if (!isOwn && (name === 'EventTarget' || name === 'Event')) return false;
  return symbols.some(isNodeVerb) || isOfWeb(link, name);
}

/** Whether it is the name of a method by which Node clones or transfers. */
function isNodeVerb({ description }: symbol): boolean {
  return (
    description === 'messaging_clone_symbol' ||
    description === 'messaging_transfer_symbol'
  );
}

// The global itself is not read, because some are loaded when they are first read.
function isOfWeb(link: object, name: unknown): boolean {
  return (
    typeof name === 'string' &&
    name === tagOf(link) &&
    Object.hasOwn(globalThis, name)
  );
}

function tagOf(link: object): unknown {
  try {
    return Reflect.get(link, Symbol.toStringTag);
  } catch {
    // It is a getter for instances only.
    return undefined;
  }
}
