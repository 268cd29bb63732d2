// Entry of a fresh node that runs one job: finds the descriptors that
// launch/spawn has put at fixed places, and runs the order.
import { fstatSync, readSync } from 'node:fs';
import { native } from '../binding.js';
import { unpackOrder } from '../order.js';
import { run } from './run.js';

const orderFd = 3;
const resultFd = 4;
const firstSlotFd = 5;

function readOrder(): Buffer {
  const bytes = Buffer.allocUnsafeSlow(fstatSync(orderFd).size);
  for (let offset = 0; offset < bytes.length;) {
    const length = Math.min(bytes.length - offset, 1 << 30);
    offset += readSync(orderFd, bytes, offset, length, offset);
  }
  native.close(orderFd);
  return bytes;
}

process.title = 'jobserver-worker';
const { token, body } = unpackOrder(readOrder());
const slotPipes = body.head.slots.map((count, i) => ({
  reader: firstSlotFd + 2 * i,
  writer: firstSlotFd + 2 * i + 1,
  count,
}));
// Programs that the job starts get none of them.
for (const fd of [
  resultFd,
  ...slotPipes.flatMap((p) => [p.reader, p.writer]),
]) {
  native.setCloseOnExec(fd, true);
}
void run({ body, token, resultFd, slotPipes });
