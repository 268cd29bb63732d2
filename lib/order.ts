// The encoded form of a submitted call: what the submitter writes and child/run
// reads. Three parts: the head as plain data, the arguments, and the arguments
// of preexec, so that a large argument is never copied to join the others.
import { serialize, deserialize } from 'node:v8';
import type { Context } from './context.js';
import type { FunctionRef } from './funcref.js';

export interface Head {
  readonly fn: FunctionRef;
  /** The arguments are a list of argument lists, and so is the result. */
  readonly isMapped: boolean;
  readonly preexec: FunctionRef | undefined;
  /** Functions that handles among the arguments refer to, by index. */
  readonly imports: readonly FunctionRef[];
  /** Slots of each inherited slot pipe, where known. */
  readonly slots: readonly (number | undefined)[];
  readonly context: Context;
  readonly orphanSignal: number;
}

const parts = 3;
const headerBytes = 2 + 8 * parts;

export interface Body {
  readonly head: Head;
  readonly args: Uint8Array;
  readonly preexecArgs: Uint8Array;
}

export function packBody(body: Body): Buffer[] {
  return [serialize(body.head), body.args, body.preexecArgs].map((part) =>
    Buffer.from(part.buffer, part.byteOffset, part.length),
  );
}

/** What precedes the parts: the byte of the slot that the job holds, or -1. */
export function packHeader(token: number, body: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.writeInt16LE(token);
  body.forEach((part, i) => header.writeDoubleLE(part.length, 2 + 8 * i));
  return header;
}

export function unpackOrder(bytes: Buffer): { token: number; body: Body } {
  const token = bytes.readInt16LE();
  let end = headerBytes;
  const next = (i: number): Buffer => {
    const start = end;
    end += bytes.readDoubleLE(2 + 8 * i);
    return bytes.subarray(start, end);
  };
  const head = deserialize(next(0)) as Head;
  return { token, body: { head, args: next(1), preexecArgs: next(2) } };
}
