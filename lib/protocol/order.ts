// The encoded form of a submitted call: what the submitter writes and child/run
// reads. Three parts: the head as plain data, the arguments, and the arguments
// of preexec, so that a large argument is never copied to join the others.
import { deserialize, serialize } from 'node:v8';
import type { Context } from '../context.js';
import type { FunctionRef } from '../functions/function-ref.js';

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
  /** Of the forkserver: what it has loaded. */
  readonly preload: readonly string[];
  readonly orphanSignal: number;
}

export interface Body {
  readonly head: Head;
  readonly args: Uint8Array;
  /** Empty without a preexec. */
  readonly preexecArgs: Uint8Array;
}

export function packBody(body: Body): Buffer[] {
  return [serialize(body.head), body.args, body.preexecArgs].map((part) =>
    Buffer.from(part.buffer, part.byteOffset, part.length),
  );
}

/** What a fork of this process runs: nothing of it is encoded. */
export interface LocalCall {
  readonly fn: Callee;
  /** Or, when it is mapped, a list of such. */
  readonly args: readonly unknown[];
  readonly isMapped: boolean;
  readonly preexec: Callee | undefined;
  readonly preexecArgs: readonly unknown[];
}

export type Callee = (...args: unknown[]) => unknown;

/** An order as it lies in its file. */
export interface ReceivedOrder {
  /** The byte of the slot that the job holds, or -1. */
  readonly token: number;
  readonly body: Body;
  /** What a worker that is no fresh process has to become first. */
  readonly surroundings: PackedSurroundings | undefined;
}

export interface Surroundings {
  readonly cwd: string;
  /** `NAME=value` each. */
  readonly env: readonly string[];
}

/** As they lie in the file: most variables are those that the worker has. */
export interface PackedSurroundings {
  readonly cwd: string;
  readonly env: Buffer;
}

/** Surroundings as one part; neither paths nor variables contain NUL. */
export function packSurroundings({ cwd, env }: Surroundings): Buffer {
  return Buffer.concat([Buffer.from(`${cwd}\0`), packEnv(env)]);
}

// The token, then the length of each part; 0 for one that is left out.
const partCount = 4;
const headerBytes = 8 * (1 + partCount);

/** What precedes the parts of an order in its file. */
export function packHeader(token: number, parts: readonly Buffer[]): Buffer {
  const header = new Float64Array(1 + partCount);
  header[0] = token;
  for (const [i, { length }] of parts.entries()) header[1 + i] = length;
  return Buffer.from(header.buffer);
}

/** Bytes of the whole order that begins with these. */
export function orderLength(bytes: Buffer): number {
  const [, ...lengths] = headerOf(bytes);
  return lengths.reduce((sum, length) => sum + length, headerBytes);
}

function headerOf(bytes: Buffer): Float64Array {
  return new Float64Array(bytes.buffer, bytes.byteOffset, 1 + partCount);
}

/** Of an order that has a buffer for itself. */
export function unpackOrder(bytes: Buffer): ReceivedOrder {
  const [token, ...lengths] = headerOf(bytes) as unknown as [
    number,
    ...number[],
  ];
  let end = headerBytes;
  const [head, args, preexecArgs, surroundings] = lengths.map((length) =>
    bytes.subarray(end, (end += length)),
  ) as [Buffer, Buffer, Buffer, Buffer];
  return {
    token,
    body: { head: deserialize(head) as Head, args, preexecArgs },
    surroundings:
      surroundings.length > 0 ? unpackSurroundings(surroundings) : undefined,
  };
}

function unpackSurroundings(bytes: Buffer): PackedSurroundings {
  const cwdEnd = bytes.indexOf(0);
  return {
    cwd: bytes.toString('utf8', 0, cwdEnd),
    env: bytes.subarray(cwdEnd + 1),
  };
}

export function packEnv(env: readonly string[]): Buffer {
  return Buffer.from(env.join('\0'));
}

export function unpackEnv(bytes: Buffer): string[] {
  return bytes.toString().split('\0');
}
