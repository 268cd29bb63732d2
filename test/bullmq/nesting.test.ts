import { useCluster } from '../helpers/cluster.js';
import { useRedis } from '../helpers/redis.js';
import { timeoutFactor } from '../helpers/until.js';

jest.setTimeout(60_000 * timeoutFactor);

describe('nesting in a cluster', () => {
  const redis = useRedis();
  const { host, executor, checkout } = useCluster({ leaseMs: 60_000 });
  const fn = (name: string): string => checkout().fn(name);

  test('a Jobserver in a job is the pool of its host', async () => {
    const connection = redis().url;
    await host({ connection, slots: 3 });
    const executed = executor({ connection });
    expect(await executed.submit(fn('squareInPool'), 5)).toEqual({
      slots: 3,
      value: 25,
    });
  });

  test('a ClusterExecutor in a job joins the queue of that job', async () => {
    const connection = redis().url;
    await host({ connection, slots: 1 });
    await host({ connection, slots: 1 });
    const executed = executor({ connection, key: undefined });
    expect(await executed.submit(fn('countLeaves'), 1, 3)).toBe(3);
  });

  test('with a key, too', async () => {
    const connection = redis().url;
    const key = 'a secret of the cluster';
    await host({ connection, slots: 1, key });
    const executed = executor({ connection, key });
    expect(await executed.submit(fn('countLeaves'), 2, 2)).toBe(4);
  });

  test.each([1, Infinity])(
    'recursion that is deeper than all slots ends, with jobsPerProcess %p',
    async (jobsPerProcess) => {
      const connection = redis().url;
      const given = jobsPerProcess === 1 ? {} : { jobsPerProcess: 1000 };
      await host({ connection, slots: 1, ...given });
      await host({ connection, slots: 1, ...given });
      const executed = executor({ connection });
      expect(await executed.submit(fn('countLeaves'), 5, 1)).toBe(1);
      const trees = [1, 2, 3].map(() =>
        executed.submit(fn('countLeaves'), 3, 2),
      );
      expect(await Promise.all(trees)).toEqual([8, 8, 8]);
    },
  );
});
