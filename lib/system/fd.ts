// The owner of a descriptor. A bare number is borrowed for the duration of a
// call.
import {
  check,
  errno,
  native,
  pollEvents,
  type TransferAt,
} from './binding.js';

// Descriptors that a fork of this process must not keep open.
const ownFds = new Set<Fd>();

export class Fd {
  #number: number;

  constructor(number: number) {
    this.#number = number;
    if (number >= 0) ownFds.add(this);
  }

  /** -1 once closed. */
  get number(): number {
    return this.#number;
  }

  /** May be called twice. */
  close(): void {
    if (this.#number >= 0) native.close(this.disown());
  }

  /** The number, whose owner is the caller from now on. */
  disown(): number {
    const number = this.#number;
    this.#number = -1;
    ownFds.delete(this);
    return number;
  }

  /** For a descriptor that forks share with their parent. */
  keepInForks(): this {
    ownFds.delete(this);
    return this;
  }
}

/** In a forked child: closes what only the parent uses, except `kept`. */
export function closeInherited(kept: readonly number[]): void {
  for (const fd of ownFds) if (!kept.includes(fd.number)) fd.close();
}

/** `flags`: as those of open(2); the Fd is close-on-exec. */
export function openFile(path: string, flags: number): Fd {
  return new Fd(check(native.open(path, flags), `open ${path}`));
}

/** An owner of a duplicate; `fd` is borrowed. */
export function duplicate(fd: number): Fd {
  return new Fd(check(native.dup(fd), 'duplicate an fd'));
}

export interface Pipe {
  readonly reader: Fd;
  readonly writer: Fd;
}

/** `role` names the pipe in the message of an error. */
export function openPipe(role: string): Pipe {
  const ends = new Int32Array(2);
  check(native.pipe(ends), `open ${role}`);
  return { reader: new Fd(ends[0]!), writer: new Fd(ends[1]!) };
}

/** A connected pair of sockets, of a stream or of messages. `role` as in `openPipe`. */
export function openSocketPair(role: string, ofMessages = false): Pipe {
  const ends = new Int32Array(2);
  check(native.socketpair(ends, ofMessages), `open ${role}`);
  return { reader: new Fd(ends[0]!), writer: new Fd(ends[1]!) };
}

/**
 * Sends all bytes over a socket, the fds with the first one. Waits for room if
 * `waits`. False when the other side is gone, or there is no room; nothing may be
 * sent after that.
 */
export function sendAll(
  socket: number,
  bytes: Uint8Array,
  fds: Int32Array,
  waits: boolean,
): boolean {
  let sent = fds;
  for (let rest = bytes; rest.length > 0;) {
    const count = native.sendFds(socket, rest, sent);
    if (count >= 0) {
      rest = rest.subarray(count);
      sent = noFds;
    } else if (count === -errno.EAGAIN && waits) {
      native.poll(Int32Array.of(socket, pollEvents.out), 1, -1);
    } else {
      return false;
    }
  }
  return true;
}

export const noFds: Int32Array = new Int32Array(0);

/**
 * Fills the bytes from a position of a file. Returns how many it has read, which
 * is fewer only at the end of the file, or a negative errno.
 */
export function readAllAt(
  fd: number,
  bytes: Uint8Array,
  position: number,
): number {
  return transferAllAt(native.readAt, fd, bytes, position);
}

/** Writes all bytes to a position of a file. Their number, or a negative errno. */
export function writeAllAt(
  fd: number,
  bytes: Uint8Array,
  position: number,
): number {
  return transferAllAt(native.writeAt, fd, bytes, position);
}

function transferAllAt(
  transfer: TransferAt,
  fd: number,
  bytes: Uint8Array,
  position: number,
): number {
  let done = 0;
  while (done < bytes.length) {
    const left = bytes.length - done;
    const count = transfer(fd, bytes, done, left, position + done);
    if (count < 0) return count;
    if (count === 0) break;
    done += count;
  }
  return done;
}

/**
 * Writes all bytes, and waits where a non-blocking fd has no room. 0, or the
 * negative errno of the write that failed.
 */
export function writeAll(fd: number, bytes: Uint8Array): number {
  for (let offset = 0; offset < bytes.length;) {
    const count = native.write(fd, bytes, offset, bytes.length - offset);
    if (count >= 0) offset += count;
    else if (count !== -errno.EAGAIN) return count;
    else native.poll(Int32Array.of(fd, pollEvents.out), 1, -1);
  }
  return 0;
}
