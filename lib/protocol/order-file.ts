// An order in transit: an anonymous file that is complete before a worker reads
// it. So no pipe has to be fed, and a worker that dies while it reads blocks no
// other process.
import { check, native } from '../system/binding.js';
import { Fd, readAllAt, writeAll } from '../system/fd.js';
import type { Token } from '../slots/token.js';
import { type Encoded, bytesOf } from '../wire/value.js';
import {
  type Attached,
  type ReceivedOrder,
  orderLength,
  packHeader,
  unpackOrder,
} from './order.js';

/** Borrows the token. */
export function writeOrder(
  token: Token,
  encoded: readonly Encoded[],
  attached: Attached,
): Fd {
  const parts = encoded.map(bytesOf);
  const file = new Fd(check(native.anonymousFile(), 'open the order'));
  try {
    for (const part of [packHeader(token, attached, parts), ...parts]) {
      check(writeAll(file.number, part), 'write the order');
    }
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

// Larger than most orders, which one read then fetches whole.
const firstBytes = 16 << 10;

/** Takes over the fd. */
export function readOrder(fd: number): ReceivedOrder {
  let bytes = Buffer.allocUnsafeSlow(firstBytes);
  const arrived = check(
    native.readAt(fd, bytes, 0, firstBytes, 0),
    'read the order',
  );
  const length = orderLength(bytes);
  if (length > arrived) {
    bytes = Buffer.allocUnsafeSlow(length);
    readWhole(fd, bytes);
  }
  native.close(fd);
  return unpackOrder(bytes);
}

function readWhole(fd: number, bytes: Buffer): void {
  // By position, because the writer left the file offset at the end.
  const count = check(readAllAt(fd, bytes, 0), 'read the order');
  if (count < bytes.length)
    throw new Error('The order of the job is truncated');
}
