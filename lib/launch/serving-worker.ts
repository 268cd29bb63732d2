// The start of a worker that runs several jobs.
import { constants } from 'node:fs';
import { devNull } from 'node:os';
import type { Stdio } from '../output/plan.js';
import { Claims } from '../protocol/claims.js';
import { type Order, orderOfWorker } from '../protocol/order.js';
import { Token } from '../slots/token.js';
import { type Fd, openFile } from '../system/fd.js';
import type { Worker } from './launcher.js';
import { launchers } from './launchers.js';

export interface ServingWorker {
  readonly worker: Worker;
  readonly claims: Claims;
}

function stdioOf(sink: number): Stdio {
  return { input: undefined, stdout: sink, stderr: sink };
}

/**
 * Starts a worker as the order says. `socket`: its end, borrowed. Throws when
 * nothing was started.
 */
export function startServing(order: Order, socket: number): ServingWorker {
  const { claims, file } = Claims.open();
  let sink: Fd | undefined;
  try {
    // Each job that is read here gets pipes of its own.
    const hasOwnOutput = order.settings?.hasOwnOutput === true;
    if (hasOwnOutput) sink = openFile(devNull, constants.O_WRONLY);
    const stdio = sink && stdioOf(sink.number);
    const workerOrder = orderOfWorker(order, file.number);
    const launcher = launchers[order.context];
    const token = Token.none(order.slotPipes[0]!.lenders);
    return {
      worker: launcher.launch(workerOrder, socket, token, stdio),
      claims,
    };
  } finally {
    sink?.close();
    file.close();
  }
}
