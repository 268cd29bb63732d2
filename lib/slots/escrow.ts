// The tokens that a job has taken for jobs of its own. As long as it holds a token, a
// byte lies in its escrow, a pipe, and whoever takes the byte out gives the token back.
// The job does so when a job of its own has ended. When the job and all its own jobs have
// ended, the trustee does so: the process where the pool begins. The job has sent it the
// reader. The job and its own jobs hold the writer, so that the kernel tells when the
// last of them has ended.
import { check, native } from '../system/binding.js';
import { openPipe } from '../system/fd.js';

/** Its ends, which are open until this process ends; borrowed. */
export interface Escrow {
  readonly reader: number;
  readonly writer: number;
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
  try {
    return open(trustee);
  } catch {
    return undefined;
  }
}

function open(trustee: number): Escrow {
  const { reader, writer } = openPipe('an escrow');
  try {
    // The trustee gets it as it is.
    check(native.setNonBlocking(reader.number, true), 'prepare an escrow');
    const fds = Int32Array.of(reader.number);
    check(native.sendFds(trustee, new Uint8Array(1), fds), 'send an escrow');
    return { reader: reader.number, writer: writer.number };
  } catch (error) {
    reader.close();
    writer.close();
    throw error;
  }
}
