// What surrounds a job: its working directory and its environment.
export interface Surroundings {
  /** '' when it was removed. */
  readonly cwd: string;
  /** `NAME=value` each. */
  readonly env: readonly string[];
}

/** Packed, because a forked worker mostly has this environment already. */
export interface PackedSurroundings {
  readonly submitter: number;
  readonly cwd: string;
  readonly env: Buffer;
}

/** Separated by NUL, which neither paths nor variables contain. */
export function packSurroundings({ cwd, env }: Surroundings): Buffer {
  return Buffer.concat([Buffer.from(`${process.pid}\0${cwd}\0`), packEnv(env)]);
}

interface Packed {
  readonly pid: number;
  readonly cwd: string;
  readonly part: Buffer;
}

const packed = new WeakMap<readonly string[], Packed>();

/** Packed once for many jobs: jobs with equal variables share one list. */
export function surroundingsOf({ cwd, env }: Surroundings): Buffer {
  const { pid } = process;
  const known = packed.get(env);
  if (known?.cwd === cwd && known.pid === pid) return known.part;
  const part = packSurroundings({ cwd, env });
  packed.set(env, { pid, cwd, part });
  return part;
}

export function unpackSurroundings(bytes: Buffer): PackedSurroundings {
  const pidEnd = bytes.indexOf(0);
  const cwdEnd = bytes.indexOf(0, pidEnd + 1);
  return {
    submitter: Number(bytes.toString('latin1', 0, pidEnd)),
    cwd: bytes.toString('utf8', pidEnd + 1, cwdEnd),
    env: bytes.subarray(cwdEnd + 1),
  };
}

export function packEnv(env: readonly string[]): Buffer {
  return Buffer.from(env.join('\0'));
}

export function unpackEnv(bytes: Buffer): string[] {
  return bytes.toString().split('\0');
}
