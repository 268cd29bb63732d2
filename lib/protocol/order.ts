// A submitted call as the submitter sends it to a worker. The encoded form has
// three parts: the head as plain data, the arguments, and the arguments of
// preexec. They stay separate so that a large argument is not copied.
import type { Context } from '../context.js';
import type { FunctionRef } from '../functions/function-ref.js';
import type { Enclosures } from '../memory/enclosures.js';
import type { SlotPipe } from '../slots/slot-pipe.js';
import type { Token } from '../slots/token.js';
import type { Encoded } from '../wire/value.js';
import type { SentPort } from './job-port.js';
import type { Preparation, WarmUp } from './preparation.js';
import { type ProcessSettings, defaultGraceMs } from './settings.js';
import {
  type PackedSurroundings,
  type Surroundings,
  unpackSurroundings,
} from './surroundings.js';
import type { JobFacts } from './worker-state.js';

/** Everything that a launcher needs, captured when the call was submitted. */
export interface Order extends Surroundings {
  readonly context: Context;
  /** The parts of the encoded call; empty for a local call. */
  readonly body: readonly [] | EncodedBody;
  /** What a fork of this process runs instead, without any encoding. */
  readonly local: LocalCall | undefined;
  /** Options of node for the worker. */
  readonly execArgv: readonly string[];
  readonly preparation: Preparation;
  /** Those that the job imports, where the modules of jobs are preloaded. */
  readonly functions?: readonly FunctionRef[] | undefined;
  /** Milliseconds that the zygote outlives the pool of this order. */
  readonly keepAlive: number;
  /** Number of the signal that ends an orphan; 0 lets it run on. */
  readonly orphanSignal: number;
  readonly settings: ProcessSettings | undefined;
  /** Milliseconds; may be Infinity. */
  readonly killGrace: number;
  /** The process leads a process group. */
  readonly processGroup: boolean;
  /** See `ServerHead`. */
  readonly maxProcessMemory: number;
  /** Slot pipes that the worker inherits; it runs in a slot of the first. */
  readonly slotPipes: readonly SlotPipe[];
  /**
   * For a worker that gets its jobs by messages: the file of its `Claims`. The
   * body has a `ServerHead` then.
   */
  readonly claimsFile?: number;
  /** How often the job was started, with this time; default: once. */
  readonly attempt?: number;
  /** The large buffers of the body. */
  readonly enclosures?: Enclosures | undefined;
  /** Ends of channels, which go with the job; undefined without any. */
  readonly ports?: readonly SentPort[] | undefined;
}

/** The head, the arguments, and the arguments of preexec. */
export type EncodedBody = readonly [Buffer, Encoded, Encoded];

/** What a worker must know before it gets a job. */
export interface WorkerHead {
  /** It gets its jobs by messages. */
  readonly hasClaims: boolean;
  /** The slots of each inherited slot pipe; undefined where unknown. */
  readonly slots: readonly (number | undefined)[];
  readonly context: Context;
  /** The modules of `preload`, its process knows already. */
  readonly warmUp: WarmUp | undefined;
  readonly orphanSignal: number;
  /** As in the order; default: false. */
  readonly processGroup?: boolean | undefined;
  /** The process enters them before its first job. */
  readonly settings?: ProcessSettings | undefined;
}

export interface ServerHead extends WorkerHead {
  /**
   * After a job that leaves the process grown by more bytes, it ends. null: by
   * any number, for which JSON has none.
   */
  readonly maxProcessMemory: number | null;
}

/**
 * Whether a job makes one call, or a list of calls: then `args` is a list of
 * argument lists, and the result a list of their values or, with 'outcomes', of
 * what became of each (PromiseSettledResult).
 */
export type Mapping = 'none' | 'values' | 'outcomes';

export interface Head extends WorkerHead, JobFacts {
  readonly fn: FunctionRef;
  readonly mapping: Mapping;
  /** `limit` of `sharedMemory` in the submitter. null: Infinity, as above. */
  readonly memoryLimit: number | null;
  readonly preexec: FunctionRef | undefined;
  /** As in the order; default: `defaultGraceMs`. null: Infinity. */
  readonly killGrace?: number | null | undefined;
  /** How many ends of channels it inherits; undefined: none. */
  readonly ports?: number | undefined;
  /** Functions; a Jobserver handle in the arguments has their indexes. */
  readonly imports: readonly FunctionRef[];
}

type End = Pick<Order, 'orphanSignal' | 'killGrace' | 'processGroup'>;
type HeadEnd = Pick<Head, 'orphanSignal' | 'killGrace' | 'processGroup'>;

/** Most jobs have the defaults, and a shorter head then. */
export function endOf({ orphanSignal, killGrace, processGroup }: End): HeadEnd {
  return {
    orphanSignal,
    killGrace: killGrace === defaultGraceMs ? undefined : killGrace,
    processGroup: processGroup || undefined,
  };
}

/** Whether the head has what `endOf` returns. */
export function isEndOf(
  { orphanSignal, killGrace = defaultGraceMs, processGroup = false }: HeadEnd,
  end: End,
): boolean {
  return (
    orphanSignal === end.orphanSignal &&
    killGrace === end.killGrace &&
    processGroup === end.processGroup
  );
}

export function hasJob(body: Body | WorkerBody): body is Body {
  return !body.head.hasClaims;
}

/** Of a worker that gets its jobs by messages. */
export interface WorkerBody {
  readonly head: ServerHead;
}

export interface Body {
  readonly head: Head;
  readonly args: Encoded;
  /** Empty without a preexec. */
  readonly preexecArgs: Encoded;
}

export function packHead(head: WorkerHead): Buffer {
  return Buffer.from(JSON.stringify(head));
}

/**
 * The order of a worker that gets its jobs by messages; the large buffers of the
 * first job come with its message.
 */
export function orderOfWorker(order: Order, claimsFile: number): Order {
  const { context, preparation, orphanSignal, settings } = order;
  const { processGroup } = order;
  const bytes = order.maxProcessMemory;
  const head: ServerHead = {
    hasClaims: true,
    slots: order.slotPipes.map((pipe) => pipe.count),
    context,
    warmUp: preparation.warmUp,
    orphanSignal,
    processGroup,
    settings,
    maxProcessMemory: bytes === Infinity ? null : bytes,
  };
  const body = [packHead(head), '', ''] as const;
  return { ...order, claimsFile, body, enclosures: undefined };
}

/** The order of a job that is started for the nth time. */
export function orderOfAttempt(order: Order, attempt: number): Order {
  if (attempt === 1) return order;
  const [head, args = '', preexecArgs = ''] = order.body;
  if (head === undefined) return { ...order, attempt };
  const bytes = packHead({ ...unpackHead(head), attempt } as WorkerHead);
  return { ...order, body: [bytes, args, preexecArgs], attempt };
}

/** A call that a fork of this process makes: nothing is encoded. */
export interface LocalCall {
  readonly fn: Callee;
  readonly args: readonly unknown[];
  readonly mapping: Mapping;
  readonly job: JobFacts;
  readonly preexec: Callee | undefined;
  readonly preexecArgs: readonly unknown[];
  /** The submitter loses them when the process has been forked. */
  readonly moved: readonly ArrayBuffer[];
}

export type Callee = (...args: unknown[]) => unknown;

/** An order, read from its file. */
export interface ReceivedOrder {
  /** See `Token.byte`. */
  readonly token: number;
  /** How many jobs lend the slot that the job holds. */
  readonly lenderCount: number;
  /** How many files of large buffers come along. */
  readonly enclosureCount: number;
  readonly body: Body | WorkerBody;
  /** For a forked worker: the directory and environment to change to. */
  readonly surroundings: PackedSurroundings | undefined;
  /** For a spawned worker: the modules to import first, as `Preload.packed`. */
  readonly preload: Buffer;
}

// The token, the number of lenders, that of files with large buffers, 1 for a worker
// with claims, then the length of each part; 0 for a part that is absent. The zygote
// reads the numbers before the lengths, see native/linux/zygote_child.cc.
const partCount = 5;
const firstPart = 4;
const headerLength = firstPart + partCount;
const headerBytes = 8 * headerLength;

/** What comes with an order. */
export interface Attached {
  /** The number of files of large buffers. */
  readonly enclosureCount: number;
  readonly hasClaims: boolean;
}

/** The start of an order file, which the parts follow. */
export function packHeader(
  { byte, lenders }: Pick<Token, 'byte' | 'lenders'>,
  { enclosureCount, hasClaims }: Attached,
  parts: readonly Buffer[],
): Buffer {
  const header = new Float64Array(headerLength);
  header.set([byte, lenders.length, enclosureCount, Number(hasClaims)]);
  for (const [i, { length }] of parts.entries()) header[firstPart + i] = length;
  return Buffer.from(header.buffer);
}

/** The length in bytes of the order that starts with `bytes`. */
export function orderLength(bytes: Buffer): number {
  const lengths = headerOf(bytes).subarray(firstPart);
  return lengths.reduce((sum, length) => sum + length, headerBytes);
}

function headerOf(bytes: Buffer): Float64Array {
  return new Float64Array(bytes.buffer, bytes.byteOffset, headerLength);
}

/** `bytes` must own its buffer, because the parts are views of it. */
export function unpackOrder(bytes: Buffer): ReceivedOrder {
  const [token, lenderCount, enclosureCount] = headerOf(bytes) as unknown as [
    number,
    number,
    number,
  ];
  const lengths = [...headerOf(bytes).subarray(firstPart)];
  let end = headerBytes;
  const [head, args, preexecArgs, surroundings, preload] = lengths.map(
    (length) => bytes.subarray(end, (end += length)),
  ) as [Buffer, Buffer, Buffer, Buffer, Buffer];
  return {
    token,
    lenderCount,
    enclosureCount,
    body: { head: unpackHead(head), args, preexecArgs },
    surroundings:
      surroundings.length > 0 ? unpackSurroundings(surroundings) : undefined,
    preload,
  };
}

export function unpackHead(head: Buffer): Head {
  const { slots, ...rest } = JSON.parse(head.toString()) as Head;
  // JSON has no undefined.
  return { ...rest, slots: slots.map((count) => count ?? undefined) };
}
