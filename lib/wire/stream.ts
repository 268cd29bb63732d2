// The bytes of a message: a header of this library, then what V8 writes. A
// placeholder, which is an empty view, stands for each value that V8 cannot
// encode. V8 passes every view to a hook below, and tables in the same stream
// say what each placeholder stands for.
//
//   byte 0      version of this format
//   byte 1      1 when there are tables
//   bytes 2-7   0
//   bytes 8-15  length of the whole message, a double, little endian
//   then        V8's header, and the root; or heads, root, fields
//
// Before every view stands the number of a placeholder, counted from 1, or 0
// for an actual view.

import { DefaultDeserializer, DefaultSerializer } from 'node:v8';
import type { Deserializer, Serializer } from 'node:v8';
import { types } from 'node:util';
import { blankError, fill } from './error.js';
import type { ErrorHead, Field } from './error.js';

const version = 1;
const headBytes = 16;
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

/** Encodes a value without placeholders. Throws what V8 throws. */
export function write(root: unknown): Buffer {
  const writer = open(0, undefined);
  writer.writeValue(root);
  return finish(writer);
}

export function writeMessage(message: Message): Buffer {
  const writer = open(1, message.placeholders);
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
const { _writeHostObject: writeView } =
  DefaultSerializer.prototype as unknown as Hooks;
const { _readHostObject: readView } =
  DefaultDeserializer.prototype as unknown as Hooks;

function open(
  tables: 0 | 1,
  placeholders: Map<object, number> | undefined,
): Serializer {
  const writer = new DefaultSerializer();
  Object.assign(writer, {
    _getDataCloneError: dataCloneError,
    _writeHostObject(value: object): void {
      const index = placeholders?.get(value);
      writer.writeUint32(index === undefined ? 0 : index + 1);
      if (index !== undefined) return;
      checkView(value);
      writeView.call(writer, value);
    },
  });
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

function checkView(value: object): void {
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
function dataCloneError(message: string): Error {
  return typeof DOMException === 'function'
    ? new DOMException(message, 'DataCloneError')
    : new Error(message);
}

/** Decodes a message. Throws some error when the bytes are not a message. */
export function read(
  bytes: Uint8Array,
  revive: ((data: unknown) => object) | undefined,
): unknown {
  const tables = checkHead(bytes);
  const reader = new DefaultDeserializer(bytes.subarray(headBytes));
  let specials: object[] = [];
  Object.assign(reader, {
    _readHostObject(): object {
      const number = reader.readUint32();
      if (number === 0) return readView.call(reader);
      return required(specials[number - 1], 'a placeholder');
    },
  });
  reader.readHeader();
  if (tables === 0) return reader.readValue() as unknown;
  const heads = list(reader.readValue());
  specials = makeSpecials(heads, revive);
  const root: unknown = reader.readValue();
  fillErrors(specials, list(reader.readValue()));
  return root;
}

function checkHead(bytes: Uint8Array): number {
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
  const isReservedUsed = bytes.subarray(2, 8).some((byte) => byte !== 0);
  if (tables > 1 || isReservedUsed) throw malformed('a head');
  return tables;
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
