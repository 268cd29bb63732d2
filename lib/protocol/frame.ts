// One message over a socket: a kind, a length, then that many bytes. A file with
// its large buffers comes along. Short writes are handled here.
import { sendAll, writeAll } from '../system/fd.js';
import { trace } from '../system/trace.js';
import { type ArrivedBuffer, type Encoded, bytesOf } from '../wire/value.js';

/** What a worker reports: the value, what was thrown, or why it will end. */
export type FrameKind = 'value' | 'error' | 'lost';

export interface Frame {
  readonly kind: FrameKind;
  readonly content: Encoded;
  /** The large buffers of the content. */
  readonly buffers?: readonly ArrivedBuffer[] | undefined;
  readonly times?: Times | undefined;
}

/** Milliseconds that a job has taken, without those of its process. */
export interface Times {
  /** To import modules. */
  readonly load: number;
  readonly run: number;
}

/** A value that a job has given to `report`, or why it cannot be read. */
export interface ReportFrame extends Pick<Frame, 'content' | 'buffers'> {
  readonly kind: 'report' | 'error';
}

export interface ReportListener {
  onReports(reports: readonly ReportFrame[]): void;
}

/**
 * No outcomes, and sent before it. `lends`: the worker starts a job in its own slot,
 * so another process will keep the socket open. `report`: see `ReportFrame`.
 */
export type MessageKind = FrameKind | 'lends' | 'report';

/** `times`: what the job has taken. No outcome, and sent before it. */
export type SentKind = MessageKind | 'times';

export const kinds: readonly SentKind[] = [
  'value',
  'error',
  'lost',
  'lends',
  'times',
  'report',
];
export const headerBytes = 9;

// The kind has these bits; the others, how many files come with the header.
export const kindBits = 3;

const noBytes = Buffer.alloc(0);

// Small frames are written at once.
const outgoing = Buffer.allocUnsafeSlow(headerBytes + 4096);

/**
 * Writes one frame. False when the other end is closed. `enclosures`: the files of
 * its large buffers, borrowed.
 */
export function writeFrame(
  fd: number,
  kind: SentKind,
  content: Encoded,
  enclosures: readonly number[] = [],
): boolean {
  const [first, rest = noBytes] = packFrame(kind, content, enclosures.length);
  const isSent =
    enclosures.length > 0
      ? sendAll(fd, first, Int32Array.from(enclosures), true)
      : writeAll(fd, first) === 0;
  return isSent && writeAll(fd, rest) === 0;
}

/** The first part is valid until the next call. It is all of a small frame. */
export function packFrame(
  kind: SentKind,
  content: Encoded,
  fileCount: number,
): readonly [first: Buffer, rest?: Buffer] {
  outgoing[0] = kinds.indexOf(kind) | (fileCount << kindBits);
  const end = addContent(content);
  if (end > 0) return [outgoing.subarray(0, end)];
  const bytes = bytesOf(content);
  writeLength(bytes.length);
  return [outgoing.subarray(0, headerBytes), bytes];
}

/** Where a small frame ends; 0 for a large one. */
function addContent(content: Encoded): number {
  const room = outgoing.length - headerBytes;
  // UTF-8 has up to three bytes for a character.
  const most =
    typeof content === 'string' ? 3 * content.length : content.length;
  if (most > room) return 0;
  const length =
    typeof content === 'string'
      ? outgoing.write(content, headerBytes)
      : content.copy(outgoing, headerBytes);
  writeLength(length);
  return headerBytes + length;
}

function writeLength(length: number): void {
  outgoing.writeUInt32LE(length >>> 0, 1);
  outgoing.writeUInt32LE(Math.floor(length / 2 ** 32), 5);
}

/** For the trace of the submitter, if this process has one too. */
export function writeTimes(fd: number, { load, run }: Times): void {
  if (!trace.enabled) return;
  writeFrame(fd, 'times', Buffer.from(Float64Array.of(load, run).buffer));
}
