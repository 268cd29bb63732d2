import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFiles } from '../helpers/folder.js';
import { freePort } from '../helpers/redis.js';
import { metas, runVitest, summary, useProject } from './vitest.js';

interface Times {
  readonly pool: string;
  readonly worker: string;
  readonly begun: number;
  readonly ended: number;
}

describe('a project', () => {
  const project = useProject('plain');

  test('has a process for each file, which is warm', async () => {
    const run = await runVitest(project());
    const all = metas(run).map((meta) => meta['process'] as [number, number]);
    expect(new Set(all.map(([pid]) => pid)).size).toBe(4);
    expect(all.map(([, count]) => count)).toEqual([1, 1, 1, 1]);
  });

  test('without isolation, files share processes', async () => {
    const run = await runVitest(project(), ['--no-isolate', '--maxWorkers=1']);
    const all = metas(run).map((meta) => meta['process'] as [number, number]);
    expect(new Set(all.map(([pid]) => pid)).size).toBe(1);
    expect(all.map(([, count]) => count).sort()).toEqual([1, 2, 3, 4]);
  });

  test('has numbers for its workers, as few as there are at once', async () => {
    const body = `
      import { test } from 'vitest';
      test('works', async ({ task }) => {
        const { VITEST_POOL_ID: pool, VITEST_WORKER_ID: worker } = process.env;
        const begun = Date.now();
        await new Promise((resolve) => setTimeout(resolve, 50));
        task.meta.times = { pool, worker, begun, ended: Date.now() };
      });`;
    const names = [1, 2, 3, 4, 5, 6].map((n) => `numbered-${n}.test.js`);
    writeFiles(
      project(),
      Object.fromEntries(names.map((name) => [name, body])),
    );
    const run = await runVitest(project(), ['numbered', '--maxWorkers=3']);
    const all = metas(run).map((meta) => meta['times'] as Times);
    expect(new Set(all.map(({ worker }) => worker)).size).toBe(6);
    const pools = [...new Set(all.map(({ pool }) => pool))].sort();
    expect(['1', '2', '3']).toEqual(expect.arrayContaining(pools));
    for (const pool of pools) {
      const same = all.filter((times) => times.pool === pool);
      same.sort((a, b) => a.begun - b.begun);
      for (const [i, { begun }] of same.slice(1).entries()) {
        expect(begun).toBeGreaterThanOrEqual(same[i]!.ended);
      }
    }
  });

  test('is divided by --shard, and filtered', async () => {
    const run = await runVitest(project(), ['--shard=1/2', '-t', 'sum']);
    const tests = summary(run).filter((line) => line.includes(': passed'));
    expect(tests.filter((line) => line.includes(': sum'))).toHaveLength(2);
  });

  test('is profiled in nodes of their own', async () => {
    const option = `--execArgv=--cpu-prof-dir=${join(project(), 'profiles')}`;
    const args = ['--execArgv=--cpu-prof', option, 'sum-1', 'sum-2'];
    await runVitest(project(), args);
    expect(readdirSync(join(project(), 'profiles')).length).toBe(2);
  });

  test('can be debugged, one file at a time', async () => {
    // With the port 0, vitest takes 9229, which another test may have taken.
    const place = `127.0.0.1:${await freePort()}`;
    const args = [`--inspect=${place}`, '--no-file-parallelism', 'sum-1'];
    const run = await runVitest(project(), args);
    expect(run.output).toContain(`Debugger listening on ws://${place}`);
  });
});

describe('projects', () => {
  const project = useProject('projects');

  test('have environments, variables and options of their own', async () => {
    const run = await runVitest(project());
    expect(summary(run)).toHaveLength(8);
    writeFiles(project(), {
      'node/fails.test.js': `import { test } from 'vitest';
        test('fails', () => { throw new Error('in a project'); });`,
    });
    const failed = await runVitest(project(), ['--project=node'], {
      code: 1,
    });
    expect(failed.output).toContain('Error: in a project');
  });
});
