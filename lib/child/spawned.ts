// Entry of a fresh node that runs one job: finds the descriptors that
// launch/spawn has put at fixed places, and runs the order.
import { native } from '../system/binding.js';
import { readOrder } from '../protocol/order-file.js';
import { noteOutput } from './output.js';
import { dieOfEachSignal, inheritedSlots, reportEndings, run } from './run.js';

const orderFd = 3;
const resultFd = 4;
const firstSlotFd = 5;

process.title = 'jobserver-worker';
dieOfEachSignal();
noteOutput();
reportEndings(false);
const { token, body } = readOrder(orderFd);
const slotFds = body.head.slots.flatMap((_, i) => [
  firstSlotFd + 2 * i,
  firstSlotFd + 2 * i + 1,
]);
// Programs that the job starts get none of them.
for (const fd of [resultFd, ...slotFds]) native.setCloseOnExec(fd, true);
void run({
  body,
  token,
  resultFd,
  slotPipes: inheritedSlots(body.head, slotFds),
  forkserverFd: -1,
  exit: (code) => {
    process.exit(code);
  },
});
