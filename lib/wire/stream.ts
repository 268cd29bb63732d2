// The bytes of a message: a header of this library, then what V8 writes. A
// placeholder, which is an empty view, stands for each value that V8 cannot
// encode. V8 passes every view to a hook below, and tables in the same stream
// say what each placeholder stands for.
//
//   byte 0      version of this format
//   byte 1      1 when there are tables
//   bytes 2-3   0
//   bytes 4-7   how many buffers travel out of band
//   bytes 8-15  length of the whole message, a double, little endian
//   then        V8's header, and the root; or heads, root, fields
//   at the end  where the buffers are; see out-of-band.ts
//
// Before every view stands the number of a placeholder, counted from 1, or 0
// for an actual view, or 2 ** 32 - 1 for a view on a buffer out of band.

import type { Deserializer, Serializer } from 'node:v8';
import { types } from 'node:util';
import { builtin } from '../system/builtins.js';
import { blankError, fill } from './error.js';
import type { ErrorHead, Field } from './error.js';
import {
  type ArrivedBuffer,
  type OutOfBand,
  type PlacedRange,
  type Store,
  makeView,
  packTable,
  tableLength,
  typeOfView,
  unpackTable,
} from './out-of-band.js';

const version = 2;
const headBytes = 16;
const outOfBand = 2 ** 32 - 1;
const maxViewBytes = 2 ** 32 - 1;

/** The plain data that `send` returned for a handle. */
export type HandleHead = { handle: unknown };

/** A value in which placeholders stand for errors and handles. */
export interface Message {
  root: unknown;
  /** The index of each placeholder in `heads` and `fields`. */
  placeholders: Map<object, number>;
  heads: (ErrorHead | HandleHead)[];
  fields: Field[][];
}

/**
 * Encodes a value without placeholders. Throws what V8 throws. Large buffers go
 * to `beside`; then `attach` completes the bytes.
 */
export function write(root: unknown, beside?: OutOfBand): Buffer {
  const writer = open(0, undefined, beside);
  writer.writeValue(root);
  return finish(writer);
}

export function writeMessage(message: Message, beside?: OutOfBand): Buffer {
  const writer = open(1, message.placeholders, beside);
  writer.writeValue(message.heads);
  writer.writeValue(message.root);
  writer.writeValue(message.fields);
  return finish(writer);
}

/** Throws when V8 refuses the value of a field of an error. */
export function tryField(value: unknown, message: Message): void {
  // Nested as deeply as in `fields`, so that V8's depth limit is the same.
  open(1, message.placeholders).writeValue([[['', false, value]]]);
}

// Node documents these methods for subclasses to override, but its types lack
// them.
interface Hooks {
  _writeHostObject: (this: Serializer, value: object) => void;
  _readHostObject: (this: Deserializer) => object;
}

const hooksOf = (base: { prototype: unknown }): Hooks =>
  base.prototype as Hooks;

function open(
  tables: 0 | 1,
  placeholders: Map<object, number> | undefined,
  beside?: OutOfBand,
): Serializer {
  const { DefaultSerializer } = builtin('node:v8');
  const writer = new DefaultSerializer();
  Object.assign(writer, {
    _getDataCloneError: dataCloneError,
    _writeHostObject(value: object): void {
      const index = placeholders?.get(value);
      if (index !== undefined) {
        writer.writeUint32(index + 1);
        return;
      }
      checkView(value);
      if (beside !== undefined && writeReference(writer, value, beside)) return;
      writer.writeUint32(0);
      hooksOf(DefaultSerializer)._writeHostObject.call(writer, value);
    },
  });
  if (beside !== undefined) {
    for (const [buffer, number] of beside.begin()) {
      writer.transferArrayBuffer(number, buffer);
    }
  }
  const head = new Uint8Array(headBytes);
  head[0] = version;
  head[1] = tables;
  writer.writeRawBytes(head);
  writer.writeHeader();
  return writer;
}

function finish(writer: Serializer): Buffer {
  const bytes = writer.releaseBuffer();
  bytes.writeDoubleLE(bytes.length, 8);
  return bytes;
}

/** False for a view that stays between the other bytes. */
function writeReference(
  writer: Serializer,
  view: ArrayBufferView,
  beside: OutOfBand,
): boolean {
  const type = typeOfView(view);
  const id = type < 0 ? undefined : beside.add(view);
  if (id === undefined) return false;
  writer.writeUint32(outOfBand);
  writer.writeUint32(type);
  writer.writeUint32(id);
  writer.writeDouble(view.byteOffset);
  writer.writeDouble(view.byteLength);
  return true;
}

/**
 * Stores the buffers that have left the bytes, and adds their table. Undefined
 * when they cannot be stored.
 */
export function attach(
  bytes: Buffer,
  beside: OutOfBand,
  store: Store,
): Buffer | undefined {
  const { ranges } = beside;
  if (ranges.length === 0) return bytes;
  const places = store(ranges);
  if (places === undefined) return undefined;
  const whole = Buffer.concat([bytes, packTable(places, ranges)]);
  whole.writeUInt32LE(ranges.length, 4);
  whole.writeDoubleLE(whole.length, 8);
  return whole;
}

function checkView(value: object): asserts value is ArrayBufferView {
  if (!ArrayBuffer.isView(value)) {
    throw dataCloneError('A host object could not be cloned.');
  }
  if (types.isSharedArrayBuffer(value.buffer)) {
    throw dataCloneError('A SharedArrayBuffer could not be cloned.');
  }
  if (value.byteLength > maxViewBytes) {
    throw dataCloneError('A view of 4 GiB or more could not be cloned.');
  }
}

// A plain function, because V8 calls it and Node calls it with `new`.
export function dataCloneError(message: string): Error {
  return typeof DOMException === 'function'
    ? new DOMException(message, 'DataCloneError')
    : new Error(message);
}

/**
 * Decodes a message. Throws some error when the bytes are not a message.
 * `arrived`: the buffers that travelled out of band.
 */
export function read(
  bytes: Uint8Array,
  revive: ((data: unknown) => object) | undefined,
  arrived: readonly ArrivedBuffer[],
): unknown {
  const { tables, end } = checkHead(bytes);
  const { DefaultDeserializer } = builtin('node:v8');
  const reader = new DefaultDeserializer(bytes.subarray(headBytes, end));
  let specials: object[] = [];
  Object.assign(reader, {
    _readHostObject(): object {
      const number = reader.readUint32();
      if (number === outOfBand) return readReference(reader, arrived);
      if (number === 0) {
        return hooksOf(DefaultDeserializer)._readHostObject.call(reader);
      }
      return required(specials[number - 1], 'a placeholder');
    },
  });
  for (const [id, { memory }] of arrived.entries()) {
    reader.transferArrayBuffer(id, memory);
  }
  reader.readHeader();
  if (tables === 0) return reader.readValue() as unknown;
  const heads = list(reader.readValue());
  specials = makeSpecials(heads, revive);
  const root: unknown = reader.readValue();
  fillErrors(specials, list(reader.readValue()));
  return root;
}

function readReference(
  reader: Deserializer,
  arrived: readonly ArrivedBuffer[],
): ArrayBufferView {
  const type = reader.readUint32();
  const id = reader.readUint32();
  const offset = reader.readDouble();
  const length = reader.readDouble();
  const { memory, start } = required(arrived[id], 'a buffer out of band');
  return makeView(type, memory, offset - start, length);
}

/** Where the buffers of a message are that travel out of band. */
export function placesIn(bytes: Uint8Array): readonly PlacedRange[] {
  return unpackTable(bytes.subarray(checkHead(bytes).end));
}

interface Head {
  readonly tables: number;
  /** Where the table of the buffers out of band begins. */
  readonly end: number;
}

function checkHead(bytes: Uint8Array): Head {
  if (bytes.length < headBytes) throw new Error('The message is truncated');
  if (bytes[0] !== version) {
    throw new Error(`The message has version ${bytes[0]}, not ${version}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, headBytes);
  const length = view.getFloat64(8, true);
  if (length !== bytes.length) {
    throw new Error(`The message has ${bytes.length} bytes, not ${length}`);
  }
  const tables = view.getUint8(1);
  const end = length - tableLength(view.getUint32(4, true));
  if (tables > 1 || view.getUint16(2) !== 0 || end < headBytes) {
    throw malformed('a head');
  }
  return { tables, end };
}

// The bytes may claim any length for a list. The loop visits holes too, and
// fails at the first one instead of allocating the claimed length.
function makeSpecials(
  heads: readonly unknown[],
  revive: ((data: unknown) => object) | undefined,
): object[] {
  const specials: object[] = [];
  for (const head of heads) {
    specials.push(makeSpecial(head, revive));
  }
  return specials;
}

function makeSpecial(
  head: unknown,
  revive: ((data: unknown) => object) | undefined,
): object {
  if (typeof head === 'object' && head !== null) {
    if ('handle' in head) {
      if (revive === undefined) throw new Error('No handle is expected here');
      return revive(head.handle);
    }
    const isText = Object.values(head).every((it) => typeof it === 'string');
    if ('known' in head && isText) return blankError(head as ErrorHead);
  }
  throw malformed('a head of an error or handle');
}

function fillErrors(specials: object[], fieldLists: readonly unknown[]): void {
  if (fieldLists.length !== specials.length) throw malformed('a table');
  for (const [index, fields] of fieldLists.entries()) {
    const special = required(specials[index], 'a table');
    for (const field of list(fields)) fill(special, [checkField(field)]);
  }
}

function checkField(field: unknown): Field {
  const [key, isEnumerable, value] = list(field);
  if (typeof key !== 'string' || typeof isEnumerable !== 'boolean') {
    throw malformed('a field of an error');
  }
  return [key, isEnumerable, value];
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed('a table');
  return value;
}

function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw malformed(what);
  return value;
}

function malformed(what: string): Error {
  return new Error(`The message is malformed: ${what}`);
}
