// An order on its way: an anonymous file, whole before anybody reads it, so
// that no pipe has to be fed and a worker that dies while it reads cannot hold
// up anybody.
import { check, native } from '../system/binding.js';
import { Fd } from '../system/fd.js';
import {
  type ReceivedOrder,
  orderLength,
  packHeader,
  unpackOrder,
} from './order.js';

export function writeOrder(token: number, parts: readonly Buffer[]): Fd {
  const file = new Fd(check(native.anonymousFile(), 'open the order'));
  try {
    writeAll(file.number, packHeader(token, parts));
    for (const part of parts) writeAll(file.number, part);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let offset = 0; offset < bytes.length;) {
    const length = bytes.length - offset;
    offset += check(native.write(fd, bytes, offset, length), 'write the order');
  }
}

// Most orders are no longer.
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
    readAll(fd, bytes);
  }
  native.close(fd);
  return unpackOrder(bytes);
}

function readAll(fd: number, bytes: Buffer): void {
  for (let offset = 0; offset < bytes.length;) {
    const length = bytes.length - offset;
    // By position: the offset of the description is where its writer left it.
    const count = native.readAt(fd, bytes, offset, length, offset);
    // It was whole when it was sent.
    if (count === 0) throw new Error('The order has been cut off');
    offset += check(count, 'read the order');
  }
}
