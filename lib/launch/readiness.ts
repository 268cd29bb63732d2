// What will serve the jobs of a handle, once it can.
import { codedError } from '../errors.js';
import type { Context } from '../context.js';
import { workerState } from '../protocol/worker-state.js';
import { selector } from '../system/selector.js';
import { trace } from '../system/trace.js';
import { obstacleTo } from './obstacle.js';
import type { Zygote } from './zygote.js';
import {
  type ZygoteOrder,
  keysOf,
  warmZygoteFor,
  zygoteFor,
} from './zygote-client.js';

/**
 * How the next job starts: 'warm', forked from a process that has run the warm-up;
 * 'cold', forked from one that has not; 'spawn', in a new node; 'fork', forked from
 * this process.
 *
 * @example See {@link Jobserver.ready}.
 */
export type Readiness = 'warm' | 'cold' | 'spawn' | 'fork';

export interface ReadinessOrder extends ZygoteOrder {
  readonly context: Context;
}

/**
 * Starts the zygotes that such orders need. Keeps the event loop alive. Rejects
 * with what a preloaded module has thrown, and when no zygote stays alive.
 */
export async function whenReady(order: ReadinessOrder): Promise<Readiness> {
  if (order.context !== 'forkserver') return order.context;
  selector.hold();
  try {
    return await whenForking(order);
  } finally {
    selector.release();
  }
}

/** Starts the zygote that such an order needs. The job reports what fails. */
export function startAhead(order: ReadinessOrder): void {
  if (order.context !== 'forkserver') return;
  try {
    const keys = keysOf(order);
    if (obstacleTo(order, keys.cold) === undefined) zygoteFor(order, keys);
  } catch (error) {
    trace('no zygote ahead: %o', error);
  }
}

async function whenForking(order: ZygoteOrder): Promise<Readiness> {
  const keys = keysOf(order);
  if (obstacleTo(order, keys.cold) !== undefined) return 'spawn';
  const zygote = zygoteFor(order, keys);
  await known(zygote);
  if (obstacleTo(order, keys.cold) !== undefined) return 'spawn';
  if (zygote.failure !== undefined) throw zygote.failure;
  if (!zygote.isReady) {
    throw codedError(
      'ERR_JOBSERVER_FORKSERVER',
      'The forkserver was let go before it was ready',
    );
  }
  if (order.preparation.warmUp === undefined) return 'cold';
  const warm = warmZygoteFor(order, keys);
  if (warm !== undefined) await known(warm);
  const isWarm =
    warm?.isReady === true && (!warm.isInherited || workerState.isWarm);
  return isWarm ? 'warm' : 'cold';
}

function known(zygote: Zygote): Promise<void> {
  return new Promise((resolve) => {
    zygote.whenKnown(resolve);
  });
}
