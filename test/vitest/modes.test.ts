import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFiles } from '../helpers/folder.js';
import { freePort } from '../helpers/redis.js';
import {
  type RunOptions,
  metas,
  runVitest,
  summary,
  useProject,
} from './vitest.js';

type Found = readonly [[options: unknown, pid: number], pid: number];

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

  test('has an environment of its own', async () => {
    const body = `
      // @vitest-environment-options { "value": 5 }
      import { test } from 'vitest';
      test('finds it', ({ task }) => {
        task.meta.found = [globalThis.found, process.pid];
        globalThis.found = 'changed';
      });`;
    writeFiles(project(), {
      'environment.mjs': `
        import { appendFileSync } from 'node:fs';
        export default {
          name: 'own',
          viteEnvironment: 'ssr',
          setup(global, options) {
            global.found = [options, process.pid];
            return { teardown: () => appendFileSync('notes', 'down ') };
          },
        };`,
      'own-1.test.js': body,
      'own-2.test.js': body,
    });
    const args = ['own', '--environment=./environment.mjs'];
    const run = await runVitest(project(), args);
    const found = metas(run).map((meta) => meta['found'] as Found);
    expect(found).toHaveLength(2);
    // Set up in the process of the file.
    for (const [[, setUpBy], pid] of found) expect(setUpBy).toBe(pid);
    const theirs = await runVitest(project(), args, {
      env: { POOL: 'forks' },
    });
    expect(found.map(([[options]]) => options)).toEqual(
      metas(theirs).map((meta) => (meta['found'] as Found)[0][0]),
    );
    const notes = readFileSync(join(project(), 'notes'), 'utf8');
    expect(notes).toBe('down '.repeat(4));
  });

  test.each(['jsdom', 'happy-dom'])(
    'has a window of %s for each file that is like no other',
    async (environment) => {
      const body = `
        import { randomUUID } from 'node:crypto';
        import { test } from 'vitest';
        import { runInNewContext } from 'node:vm';
        test('notes', ({ task }) => {
          task.meta.ids = [
            process.pid, Math.random(), window.Math.random(),
            window.eval('Math.random()'), runInNewContext('Math.random()'),
            randomUUID(), crypto.randomUUID(), window.crypto.randomUUID(),
            String(crypto.getRandomValues(new Uint32Array(2))),
          ];
          task.meta.pids = [window.process?.pid, globalThis.process.pid];
        });`;
      const names = [1, 2, 3].map((n) => `window-${n}.test.js`);
      writeFiles(
        project(),
        Object.fromEntries(names.map((name) => [name, body])),
      );
      const args = ['window', `--environment=${environment}`];
      const all = metas(await runVitest(project(), args));
      const ids = all.flatMap((meta) => meta['ids'] as unknown[]);
      expect(ids).toHaveLength(3 * 9);
      expect(new Set(ids).size).toBe(3 * 9);
      for (const { ids, pids } of all) {
        const [pid] = ids as unknown[];
        for (const each of pids as unknown[]) {
          if (each !== null && each !== undefined) expect(each).toBe(pid);
        }
      }
    },
  );

  test('has the options of node that are for files, and not those of vitest', async () => {
    writeFiles(project(), {
      'hook.cjs': 'globalThis.hooks = (globalThis.hooks ?? 0) + 1;',
      'hook.mjs': 'globalThis.imports = (globalThis.imports ?? 0) + 1;',
      'hooked.test.js': `
        import { test } from 'vitest';
        test('notes', ({ task }) => {
          const { hooks, imports, gc } = globalThis;
          const { execArgv, env } = process;
          task.meta.found = [hooks, imports, typeof gc];
          task.meta.all = [execArgv, env.NODE_OPTIONS];
        });`,
    });
    const found = async (
      given: readonly string[],
      options: RunOptions = {},
    ): Promise<unknown> => {
      const args = ['hooked', ...given];
      const env = { ...options.env, POOL: 'forks' };
      const ours = metas(await runVitest(project(), args, options))[0]!;
      const theirs = metas(
        await runVitest(project(), args, { ...options, env }),
      )[0]!;
      expect(ours).toEqual(theirs);
      return ours['found'];
    };
    const all = ['--require=./hook.cjs', '--import=./hook.mjs', '--expose-gc'];
    const args = all.map((option) => `--execArgv=${option}`);
    expect(await found(args)).toEqual([1, 1, 'function']);
    const env = { NODE_OPTIONS: '--require=./hook.cjs' };
    expect(await found([], { env })).toEqual([1, null, 'undefined']);
    const ofVitest = [...all, '--stack-trace-limit=20', '--conditions=special'];
    const none = [null, null, 'undefined'];
    expect(await found([], { execArgv: ofVitest })).toEqual(none);
    const one = ['--execArgv=--expose-gc'];
    const exposed = [null, null, 'function'];
    expect(await found(one, { execArgv: all })).toEqual(exposed);
  });

  test('is forked, whatever the options of the node that runs vitest', async () => {
    writeFiles(project(), {
      // The thread of the hooks would keep a zygote from forking.
      'register.mjs': `import { register } from 'node:module';
        register('data:text/javascript,');`,
    });
    const execArgv = ['--import=./register.mjs'];
    const run = await runVitest(project(), ['sum-1', 'sum-2'], { execArgv });
    expect(summary(run)).toHaveLength(6);
    expect(run.output).not.toContain('JOBSERVER_NO_FORKSERVER');
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
