// What becomes of what a job writes, and where it reads from.

export type StreamName = 'stdout' | 'stderr';

/** Gets chunks of bytes, or lines; a promise that it returns is awaited. */
export type Listener = (data: Buffer | string, stream: StreamName) => unknown;

export type OutputKind = 'inherit' | 'ignore' | 'group' | 'capture' | 'listen';

export interface StreamPlan {
  readonly output: OutputKind;
  /** A listener gets lines instead of chunks. */
  readonly isByLine: boolean;
  /** Bytes kept of each stream, or of one line. */
  readonly mostBytes: number;
  /** Undefined: the null device. */
  readonly input: Uint8Array | undefined;
}

/** Whether it gets pipes, which are read here. */
export function isPiped({ output }: StreamPlan): boolean {
  return output !== 'inherit' && output !== 'ignore';
}

/** The descriptors that a process gets for its standard streams; borrowed. */
export interface Stdio {
  /** Undefined: the null device. */
  readonly input: number | undefined;
  readonly stdout: number;
  readonly stderr: number;
}

/** Those of this process, except for the input. */
export const inheritedStdio: Stdio = { input: undefined, stdout: 1, stderr: 2 };
