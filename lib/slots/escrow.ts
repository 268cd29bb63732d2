// The tokens that a job has taken for jobs of its own. As long as it holds a token, a
// byte lies in its escrow, a pipe, and whoever takes the byte out gives the token back.
// The job does so when a job of its own has ended. When the job and all its own jobs have
// ended, the trustee does so: the process where the pool begins. To it, the job sends
// the reader of the escrow, and one end of a socket pair, the lifeline. The other end is
// held by the job and its own jobs, so the kernel tells when the last of them has ended.
import { check, native } from '../system/binding.js';
import { type Fd, openPipe, openSocketPair } from '../system/fd.js';

/** Open until the process ends; borrowed. */
export interface Escrow {
  readonly reader: number;
  readonly writer: number;
  /** What each job holds that runs in a slot of the escrow. */
  readonly lifelines: readonly [number];
}

// Those of this process, by their trustees; a fork has a copy.
let owner = 0;
const escrows = new Map<number, Escrow | undefined>();

/**
 * That of all tokens which this process takes from the pool of a trustee. Undefined
 * when there were no fds for it, or the trustee had no room or was gone.
 */
export function escrowFor(trustee: number): Escrow | undefined {
  if (owner !== process.pid) {
    owner = process.pid;
    escrows.clear();
  }
  if (!escrows.has(trustee)) escrows.set(trustee, tryOpen(trustee));
  return escrows.get(trustee);
}

function tryOpen(trustee: number): Escrow | undefined {
  const parts: Fd[] = [];
  try {
    const { reader, writer } = openPipe('an escrow');
    parts.push(reader, writer);
    const lifeline = openSocketPair('a lifeline');
    parts.push(lifeline.reader, lifeline.writer);
    const fds = Int32Array.of(reader.number, lifeline.reader.number);
    // The trustee gets them as they are.
    for (const fd of fds) check(native.setNonBlocking(fd, true), 'prepare');
    check(native.sendFds(trustee, new Uint8Array(1), fds), 'send an escrow');
    lifeline.reader.close();
    return {
      reader: reader.number,
      writer: writer.number,
      lifelines: [lifeline.writer.number],
    };
  } catch {
    for (const part of parts) part.close();
    return undefined;
  }
}
