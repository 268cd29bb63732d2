// The messages between a submitter and a worker that runs several jobs. The
// submitter sends calls; what equals that of the call before is not sent again.
// The worker sends the frames of each job, and says with each message whether it
// can take another job.
import type { Arrivals } from '../memory/arrivals.js';
import { errno, systemError } from '../system/binding.js';
import { type Encoded, bytesOf, encodeThrown } from '../wire/value.js';
import type { MessageKind } from './frame.js';
import { frameWith } from './frame-reader.js';
import { type Message, type OutgoingMessage, keep } from './messages.js';

export interface Call {
  /** See `Token.byte`. */
  readonly token: number;
  /** Undefined: that of the call before. */
  readonly head: Buffer | undefined;
  /** Undefined: those of the call before. */
  readonly surroundings: Buffer | undefined;
  readonly args: Encoded;
  /** Empty without a preexec. */
  readonly preexecArgs: Encoded;
  /** The last two files are its standard output and its standard error. */
  readonly hasOutput: boolean;
}

// The kind of a call is the token, which is at least -2, and these bits.
const tokenMask = 0x1ff;
const hasHead = 0x200;
const hasSurroundings = 0x400;
const hasPreexecArgs = 0x800;
const hasOutput = 0x1000;

export function packCall(job: number, call: Call): OutgoingMessage {
  const { token, head, surroundings, args, preexecArgs } = call;
  let kind = token + 2;
  if (call.hasOutput) kind |= hasOutput;
  if (head === undefined && surroundings === undefined && preexecArgs === '') {
    return { kind, job, parts: [args] };
  }
  const parts: Encoded[] = [];
  const add = (part: Encoded | undefined, bit: number): void => {
    if (part === undefined || part.length === 0) return;
    const bytes = bytesOf(part);
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32LE(bytes.length);
    parts.push(length, bytes);
    kind |= bit;
  };
  add(head, hasHead);
  add(surroundings, hasSurroundings);
  add(preexecArgs, hasPreexecArgs);
  parts.push(args);
  return { kind, job, parts };
}

/** Undefined when the file of a large call could not be received. */
export function unpackCall(message: Message): Call | undefined {
  const { kind, bytes } = message;
  if (bytes === undefined) return undefined;
  let at = 0;
  const take = (bit: number): Buffer | undefined => {
    if ((kind & bit) === 0) return undefined;
    const from = at + 4;
    at = from + bytes.readUInt32LE(at);
    return bytes.subarray(from, at);
  };
  const head = take(hasHead);
  const surroundings = take(hasSurroundings);
  const preexecArgs = take(hasPreexecArgs);
  return {
    token: (kind & tokenMask) - 2,
    head: head && Buffer.from(head),
    surroundings: surroundings && Buffer.from(surroundings),
    args: keep(at === 0 ? bytes : bytes.subarray(at), message),
    preexecArgs: preexecArgs === undefined ? '' : keep(preexecArgs, message),
    hasOutput: (kind & hasOutput) !== 0,
  };
}

/** What a worker can do after a message. */
export type Readiness =
  /** It still has to do with the job. */
  | 'busy'
  /** It takes another job. */
  | 'free'
  /** It takes no other job, and ends. */
  | 'last';

export interface Report {
  /** 'none': only the state has changed. */
  readonly kind: MessageKind | 'usage' | 'none';
  readonly state: Readiness;
}

const kinds = [
  'value',
  'error',
  'lost',
  'lends',
  'report',
  'usage',
  'none',
] as const;
const states = ['busy', 'free', 'last'] as const;

/** By the `kind` of their messages. */
const reports: readonly Report[] = states.flatMap((state) =>
  kinds.map((kind) => ({ kind, state })),
);

/** The `kind` of a message. */
export function packReport({ kind, state }: Report): number {
  return kinds.indexOf(kind) + kinds.length * states.indexOf(state);
}

/** Undefined for a number that `packReport` does not give. */
export function unpackReport(code: number): Report | undefined {
  return reports[code];
}

/**
 * The frame in a message, for use after the next one is read. The caller closes
 * the files that it leaves.
 */
export function frameOf<K extends string>(
  kind: K,
  message: Message,
  arrivals: Arrivals,
): ReturnType<typeof frameWith<K>> {
  const { bytes, enclosures } = message;
  if (bytes !== undefined) {
    return frameWith(kind, keep(bytes, message), enclosures, arrivals);
  }
  const error = systemError(-errno.EMFILE, 'receive the result');
  return { kind: 'error', content: encodeThrown(error) };
}
