// Checks the controls of the standard streams of a job.
import { types } from 'node:util';
import { invalidArgument } from '../errors.js';
import type { StreamPlan } from '../output/plan.js';
import { checkMost, checkOptions } from '../system/options.js';
import type { Future } from './future.js';

/**
 * Called with what a job has written to a stream. While a promise that it returns is
 * pending, the output of the job is not read, so that the job waits as soon as the
 * pipe is full.
 *
 * @example
 * ```js
 * const output = (chunk, stream) => process[stream].write(chunk);
 * await jobserver.with({ output }).run(build);
 * ```
 */
export type OutputListener<T = Buffer> = (
  data: T,
  stream: 'stdout' | 'stderr',
  future: Future<unknown>,
) => unknown;

/**
 * A listener that gets whole lines, without their line breaks.
 *
 * @example
 * ```js
 * const output = { lines: (line, _stream, { pid }) => console.log(pid, line) };
 * await jobserver.with({ output }).run(build);
 * ```
 */
export interface LineOutput {
  /** Called with each line. */
  readonly lines: OutputListener<string>;
}

/** The values of {@link JobControls.output}; see {@link OutputListener}. */
export type JobOutput =
  'inherit' | 'ignore' | 'group' | 'capture' | OutputListener | LineOutput;

/** What the controls of a handle say about streams. */
export interface StreamControls {
  readonly streams: StreamPlan;
  readonly listener: OutputListener<never> | undefined;
}

export const initialStreams: StreamControls = {
  streams: {
    output: 'inherit',
    isByLine: false,
    mostBytes: 64 << 20,
    input: undefined,
  },
  listener: undefined,
};

const kinds = ['inherit', 'ignore', 'group', 'capture'] as const;
const expected =
  "'inherit', 'ignore', 'group', 'capture', a function or an object with `lines`";

export function changeOutput(
  given: unknown,
  { streams }: StreamControls,
): StreamControls {
  const kind = kinds.find((each) => each === given);
  if (kind !== undefined) {
    const changed = { ...streams, output: kind, isByLine: false };
    return { streams: changed, listener: undefined };
  }
  const isByLine = typeof given === 'object' && given !== null;
  const listener = isByLine
    ? checkOptions(given as LineOutput, { lines: true }).lines
    : given;
  if (typeof listener !== 'function') {
    throw invalidArgument('output', expected, given);
  }
  return {
    streams: { ...streams, output: 'listen', isByLine },
    listener: listener as OutputListener<never>,
  };
}

export function changeMaxOutput(
  given: unknown,
  { streams }: StreamControls,
): Pick<StreamControls, 'streams'> {
  const mostBytes = checkMost(given, 'maxOutput', 0);
  return { streams: { ...streams, mostBytes } };
}

export function changeInput(
  given: unknown,
  { streams }: StreamControls,
): Pick<StreamControls, 'streams'> {
  return { streams: { ...streams, input: bytesOf(given) } };
}

/** A copy. */
function bytesOf(input: unknown): Uint8Array | undefined {
  if (input === null) return undefined;
  if (typeof input === 'string') return Buffer.from(input);
  if (!types.isUint8Array(input)) {
    throw invalidArgument('input', 'a string, a Uint8Array or null', input);
  }
  return Uint8Array.prototype.slice.call(input);
}

/** Undefined where a process has them by default. */
export function streamPlanOf({
  streams,
}: StreamControls): StreamPlan | undefined {
  const { output, input } = streams;
  return output === 'inherit' && input === undefined ? undefined : streams;
}
