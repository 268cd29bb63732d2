// Entry of a new node that runs jobs: finds the descriptors that
// launch/spawn has put at fixed numbers, and runs the order.
import { pipeFds, spawnedFds, unpackInherited } from '../protocol/fds.js';
import { type Head, type WorkerHead, hasJob } from '../protocol/order.js';
import { readOrder } from '../protocol/order-file.js';
import { receivePreload } from '../protocol/preparation.js';
import { native } from '../system/binding.js';
import {
  exitAsNode,
  reportEndings,
  resetInspectorSignal,
} from './exit-report.js';
import { noteOutput } from './output.js';
import { preloadAlone } from './preload.js';
import { run } from './run.js';

process.title = 'jobserver-worker';
resetInspectorSignal();
noteOutput();
reportEndings();
const received = readOrder(spawnedFds.order);
const { token, lenderCount, enclosureCount, body } = received;
const preload = receivePreload(received.preload);
const { slots, hasClaims, ports = 0 } = body.head as WorkerHead & Partial<Head>;
const others = Number(hasClaims) + ports + lenderCount + enclosureCount;
const inherited = Array.from(
  { length: pipeFds * slots.length + others },
  (_, i) => spawnedFds.firstInherited + i,
);
// Programs that the job starts must not inherit them.
for (const fd of [spawnedFds.result, ...inherited]) {
  native.setCloseOnExec(fd, true);
}
const order = {
  token,
  resultFd: spawnedFds.result,
  ...unpackInherited(body.head, enclosureCount, inherited),
  preload,
  prepare:
    preload.urls.length > 0 ? () => preloadAlone(preload.packed) : undefined,
  forkserverFd: -1,
  exit: exitAsNode,
};
if (hasJob(body)) {
  void run({ ...order, body });
} else {
  // Here, because most processes have one job, and start sooner without it.
  const { serve } = require('./serve.js') as typeof import('./serve.js');
  serve({ ...order, body });
}
