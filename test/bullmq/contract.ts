// What each executor promises, for one whose jobs run on a host.
import { resolve } from 'node:path';
import { defaultContext } from '../../dist/context.js';
import { ClusterExecutor, ClusterHost } from '../../dist/bullmq.js';
import { executorContract } from '../contract/executor.js';
import { executorEndContract } from '../contract/executor-end.js';
import { executorMapContract } from '../contract/executor-map.js';
import { executorObservationContract } from '../contract/executor-observation.js';
import { queueBy } from '../contract/executor-setup.js';
import { checkSlots, openAllWith, warmUp } from '../helpers/jobserver.js';
import { checkLeaks } from '../helpers/leaks.js';
import { useRedis } from '../helpers/redis.js';
import { timeoutFactor } from '../helpers/until.js';

/** `jobsPerProcess`: of the host. */
export function clusterContract(jobsPerProcess?: number): void {
  jest.setTimeout(30_000 * timeoutFactor);
  openAllWith({ jobsPerProcess });
  const redis = useRedis();
  checkSlots();
  checkLeaks(warmUp(defaultContext));
  let count = 0;

  queueBy((jobserver) => {
    const options = {
      connection: redis().url,
      queue: `contract-${++count}`,
      root: resolve('dist-test'),
      leaseMs: 60_000,
    };
    const host = new ClusterHost({ ...options, jobserver });
    const executor = new ClusterExecutor(options);
    const close = async (): Promise<void> => {
      await executor.shutdown({ cancelFutures: true, killSignal: 'SIGKILL' });
      // The executor of another process may have left a job.
      await host.close({ drain: false });
    };
    return { executor, options, close };
  });

  // Their executors are closed before the leak check.
  describe('executor', () => {
    executorContract(defaultContext);
    // About the process of the executor, which does not see those of the host.
    if (jobsPerProcess === undefined) executorEndContract(defaultContext);
    executorMapContract(defaultContext);
    executorObservationContract(defaultContext);
  });
}
