import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { useCluster } from '../helpers/cluster.js';
import { useRedis } from '../helpers/redis.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { timeoutFactor, until } from '../helpers/until.js';

jest.setTimeout(60_000 * timeoutFactor);

describe.each([{}, { jobsPerProcess: 1000 }])(
  'controls in a cluster, %p',
  (given) => {
    const redis = useRedis();
    const tools = useCluster({ leaseMs: 60_000 });
    const { executor, checkout, makeGate } = tools;
    const fn = (name: string): string => checkout().fn(name);
    const open = (): ReturnType<typeof executor> =>
      executor({ connection: redis().url });
    const host = (): ReturnType<typeof tools.host> =>
      tools.host({ connection: redis().url, ...given });

    test('runTimeout ends a job', async () => {
      await host();
      const limited = open().with({ runTimeout: 100, killGrace: 100 });
      const log = makeGate().file;
      const error = await rejection(
        limited.submit(fn('resist'), log, 'x', makeGate().file),
      );
      expect(error).toMatchObject({ name: 'TimeoutError' });
    });

    test('env and cwd are those of the call, on the host', async () => {
      const there = await host();
      mkdirSync(join(checkout().root, 'sub'));
      mkdirSync(join(there.checkout.root, 'sub'));
      const executed = open().with({ env: { LEVEL: '1' } });
      const changed = executed.with({
        env: { LEVEL: '2' },
        cwd: join(checkout().root, 'sub'),
      });
      expect(await executed.submit(fn('variable'), 'LEVEL')).toBe('1');
      expect(await changed.submit(fn('variable'), 'LEVEL')).toBe('2');
      const { cwd } = await changed.submit<[], { cwd: string }>(fn('facts'));
      expect(cwd).toBe(realpathSync(join(there.checkout.root, 'sub')));
    });

    test('reports come in their order, before the value', async () => {
      await host();
      const seen: unknown[] = [];
      const values = [1, 'two', { three: 3 }, 'x'.repeat(50_000), [5]];
      const executed = open().with({
        onReport: (value, promise) => {
          seen.push(value);
          expect(promise.state).toBe('running');
        },
      });
      expect(await executed.submit(fn('reportAll'), values)).toBe(5);
      expect(seen).toEqual(values);
    });

    test('a listener gets what a job writes, and capture adds it to errors', async () => {
      await host();
      const lines: string[] = [];
      const executed = open();
      const listened = executed.with({
        output: {
          lines: (line, stream) => void lines.push(`${stream} ${line}`),
        },
      });
      await listened.submit(fn('print'), 'a\nb\n', 'c\n');
      expect(lines.sort()).toEqual(['stderr c', 'stdout a', 'stdout b']);
      const chunks: Buffer[] = [];
      await executed
        .with({ output: (chunk) => void chunks.push(chunk) })
        .submit(fn('print'), 'out', 'err');
      expect(Buffer.concat(chunks).toString()).toMatch(/^(outerr|errout)$/);
    });

    test('what does not travel is an error', () => {
      const executed = open();
      for (const [controls, code] of [
        [{ sleep: () => undefined }, 'ERR_JOBSERVER_CLUSTER'],
        [{ preexec: parseInt }, 'ERR_JOBSERVER_CLUSTER'],
        [{ preload: ['node:os'] }, 'ERR_JOBSERVER_CLUSTER'],
        [{ cwd: '/' }, 'ERR_JOBSERVER_CLUSTER'],
        [{ runTimeout: -1 }, 'ERR_OUT_OF_RANGE'],
        [{ colour: 1 }, 'ERR_INVALID_ARG_VALUE'],
      ] as const) {
        expect(thrown(() => executed.with(controls as never))).toMatchObject({
          code,
        });
      }
    });

    test('the records of calls say what the host has measured', async () => {
      await host();
      const executed = open().with({ usage: true });
      const work = [1, 2, 3].map((n) => executed.submit(fn('square'), n));
      expect(await Promise.all(work)).toEqual([1, 4, 9]);
      await until('all to be counted', () => executed.completed === 3);
      expect(executed.runTime.count).toBe(3);
      expect(executed.waitTime.count).toBe(3);
      expect(executed.cpuTime.count).toBe(3);
    });
  },
);
