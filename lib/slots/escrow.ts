// The escrow of a job is a pipe with one byte for each token that the job has taken for
// jobs of its own. A process that gives such a token back first reads the byte from the
// escrow, so that no other process gives the same token back. While the job lives, it does
// this itself. The trustee is the process where the pool begins. The job has sent it the
// reader of the escrow. The job and its own jobs hold the writer, so the trustee sees the
// end of the pipe when the last of these processes has ended, and then gives back the
// tokens that are left.
import { check, native } from '../system/binding.js';
import { openPipe } from '../system/fd.js';

/** Its ends are open until this process ends, and borrowed. */
export interface Escrow {
  readonly reader: number;
  readonly writer: number;
  /** Those of its tokens: the writer; see `Token`. */
  readonly lenders: readonly number[];
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
    return {
      reader: reader.number,
      writer: writer.number,
      lenders: [writer.number],
    };
  } catch (error) {
    reader.close();
    writer.close();
    throw error;
  }
}
