// The forkserver context: each job is a fork of a zygote, a warm node. This is
// the submitter's side: it sends a request to the zygote, and receives reports
// about each job on a separate socket.
import { native } from '../system/binding.js';
import { type Fd, duplicate, openSocketPair } from '../system/fd.js';
import { inheritedStdio } from '../output/plan.js';
import {
  type RequestedFds,
  inheritedFds,
  packRequest,
} from '../protocol/fds.js';
import type { Order } from '../protocol/order.js';
import { writeOrder } from '../protocol/order-file.js';
import { surroundingsOf } from '../protocol/surroundings.js';
import { workerState } from '../protocol/worker-state.js';
import { ZygoteWorker } from './zygote-worker.js';
import type { Launcher, Worker } from './launcher.js';
import { obstacleTo } from './obstacle.js';
import { groupGraceOf } from './process-group.js';
import { spawnLauncher } from './spawn.js';
import type { Zygote } from './zygote.js';
import { keysOf, zygoteFor } from './zygote-client.js';

export const forkserverLauncher: Launcher = {
  launch(order, resultWriter, token, stdio = inheritedStdio) {
    const keys = keysOf(order);
    const obstacle = obstacleTo(order, keys.cold);
    if (obstacle !== undefined) {
      warn(obstacle);
      return spawnLauncher.launch(order, resultWriter, token, stdio);
    }
    const enclosures = order.enclosures?.send() ?? [];
    const parts = [...order.body, surroundingsOf(order)];
    const file = writeOrder(token, parts, {
      enclosureCount: enclosures.length,
      hasClaims: order.claimsFile !== undefined,
    });
    const fds = {
      stdio,
      order: file.number,
      result: resultWriter,
      inherited: inheritedFds(order, token.lenders, enclosures),
    };
    try {
      const { isAuto } = order.preparation.preload;
      const serving = isAuto ? learner().learnedZygoteFor : zygoteFor;
      const send = (): Worker => request(serving(order, keys), order, fds);
      try {
        return send();
      } catch (error) {
        // The zygote died after its last use: start another one.
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'EPIPE' && code !== 'ECONNRESET') throw error;
        return send();
      }
    } finally {
      file.close();
    }
  },
};

// Required here, because most programs do without.
const learner = (): typeof import('./learner.js') =>
  require('./learner.js') as typeof import('./learner.js');

/** Requests one job. Throws EPIPE when the zygote is gone. */
function request(
  zygote: Zygote,
  order: Pick<Order, 'orphanSignal' | 'processGroup' | 'killGrace'>,
  jobFds: Omit<RequestedFds, 'zygote'>,
): Worker {
  const { reader: report, writer: reporter } = openSocketPair(
    'a report socket',
    true,
  );
  let placeholder: Fd | undefined;
  try {
    native.endForkWithThread(report.number, order.orphanSignal);
    placeholder = duplicate(report.number);
    const fds = packRequest(reporter.number, {
      ...jobFds,
      zygote: zygote.client,
    });
    const groupGrace = groupGraceOf(order);
    const hasInput = jobFds.stdio.input !== undefined;
    zygote.send(fds, {
      orphanSignal: order.orphanSignal,
      groupGrace,
      hasInput,
    });
    return new ZygoteWorker(report, zygote, placeholder, groupGrace);
  } catch (error) {
    placeholder?.close();
    report.close();
    throw error;
  } finally {
    reporter.close();
  }
}

let hasWarned = false;

function warn(obstacle: string): void {
  // The process that submitted this job has warned already.
  if (hasWarned || workerState.isWorker) return;
  hasWarned = true;
  process.emitWarning(
    `The forkserver cannot start: ${obstacle}. Jobs are spawned instead`,
    { type: 'JobserverWarning', code: 'JOBSERVER_NO_FORKSERVER' },
  );
}
