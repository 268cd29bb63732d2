// An order on its way: an anonymous file, whole before anybody reads it, so
// that no pipe has to be fed and a worker that dies while it reads cannot hold
// up anybody.
import { fstatSync, readSync } from 'node:fs';
import { check, native } from './binding.js';
import { Fd } from './fd.js';
import { type ReceivedOrder, packHeader, unpackOrder } from './order.js';

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

// One read takes no more than 2 GiB.
const mostBytes = 1 << 30;

/** Takes over the fd. */
export function readOrder(fd: number): ReceivedOrder {
  const bytes = Buffer.allocUnsafeSlow(fstatSync(fd).size);
  for (let offset = 0; offset < bytes.length;) {
    const length = Math.min(bytes.length - offset, mostBytes);
    // By position: the offset of the description is where its writer left it.
    offset += readSync(fd, bytes, offset, length, offset);
  }
  native.close(fd);
  return unpackOrder(bytes);
}
