// The start of a worker that runs several jobs.
import { Claims } from '../protocol/claims.js';
import { type Order, orderOfWorker } from '../protocol/order.js';
import { Token } from '../slots/slot-pipe.js';
import type { Worker } from './launcher.js';
import { launchers } from './launchers.js';

export interface ServingWorker {
  readonly worker: Worker;
  readonly claims: Claims;
}

/**
 * Starts a worker as the order says. `socket`: its end, borrowed. Throws when
 * nothing was started.
 */
export function startServing(order: Order, socket: number): ServingWorker {
  const { claims, file } = Claims.open();
  try {
    const workerOrder = orderOfWorker(order, file.number);
    const launcher = launchers[order.context];
    return {
      worker: launcher.launch(workerOrder, socket, Token.none()),
      claims,
    };
  } finally {
    file.close();
  }
}
