import { writeFiles } from '../helpers/folder.js';
import { type Run, metas, runVitest, useProject } from './vitest.js';

describe('a file that ends early', () => {
  const project = useProject('plain');

  const growing = 'const all = []; for (;;) all.push({ all: [...all] });';

  /** Runs it after, or beside, those of the project. */
  async function runWith(
    body: string,
    pool: object,
    args: readonly string[] = [],
  ): Promise<Run> {
    writeFiles(project(), {
      'hostile.test.js': `import { expect, test } from 'vitest';
        test('is hostile', async () => { ${body} });`,
    });
    const run = await runVitest(project(), args, { pool, code: 1 });
    expect(run.output).toContain('4 passed');
    return run;
  }

  test('fails with the heap that it has used up, and others go on', async () => {
    const { output } = await runWith(growing, { maxHeapMb: 64 });
    expect(output).toMatch(
      /hostile\.test\.js: killed by SIG(ABRT|TRAP): most likely it ran out of its 64 MiB heap/,
    );
  });

  test('fails with the heap of node, and others go on', async () => {
    const args = ['--execArgv=--max-old-space-size=64'];
    const { output } = await runWith(growing, {}, args);
    expect(output).toMatch(/hostile\.test\.js: killed by SIG(ABRT|TRAP)/);
    expect(output).toContain('JavaScript heap out of memory');
  });

  test('fails with the signal that its code has caused', async () => {
    const { output } = await runWith(
      "process.kill(process.pid, 'SIGSEGV');",
      {},
    );
    expect(output).toMatch(/hostile\.test\.js: killed by SIGSEGV/);
  });

  test('fails with the signal that ends it after its tests', async () => {
    writeFiles(project(), {
      'environment.mjs': `export default {
        name: 'own',
        viteEnvironment: 'ssr',
        setup: () => ({ teardown: () => process.kill(process.pid, 'SIGKILL') }),
      };`,
    });
    const args = ['--environment=./environment.mjs', '--maxWorkers=1'];
    const { output } = await runVitest(project(), args, { code: 1 });
    expect(output).toContain('8 passed');
    // vitest does not wait for the end of the last ones before it reports.
    expect(output).toContain('Teardown Error');
    expect(output).toMatch(/sum-\d\.test\.js: killed by SIGKILL/);
  });

  test('fails with the time that it has used up, although it computes', async () => {
    const { output } = await runWith('for (;;);', { runTimeout: 3000 });
    expect(output).toMatch(/unexpectedly in .*hostile\.test\.js: .*3000 ms/);
  });
});

describe('the process of each file', () => {
  const project = useProject('plain');

  test('has the limits of the pool', async () => {
    writeFiles(project(), {
      'limited.test.js': `
        import { execFileSync } from 'node:child_process';
        import { getPriority } from 'node:os';
        import { getHeapStatistics } from 'node:v8';
        import { test } from 'vitest';
        test('has limits', ({ task }) => {
          const ulimit = (option) =>
            String(execFileSync('sh', ['-c', 'ulimit ' + option])).trim();
          task.meta.found = {
            heapMb: Math.round(getHeapStatistics().heap_size_limit / 2 ** 20),
            nice: getPriority(),
            openFiles: ulimit('-n'),
            coreDump: ulimit('-c'),
          };
        });`,
    });
    const found = async (pool: object): Promise<unknown> => {
      const run = await runVitest(project(), ['limited'], { pool });
      return metas(run)[0]?.['found'];
    };
    const limits = { openFiles: 321, coreDump: 0 };
    const limited = await found({ maxHeapMb: 96, nice: 7, limits });
    expect(limited).toMatchObject({ nice: 7, openFiles: '321', coreDump: '0' });
    const { heapMb } = limited as { heapMb: number };
    const usual = (await found({})) as { heapMb: number; openFiles: string };
    // V8 adds the young generation.
    expect(heapMb).toBeGreaterThanOrEqual(96);
    expect(heapMb).toBeLessThan(usual.heapMb);
    expect(usual.openFiles).not.toBe('321');
  });
});

describe('slots', () => {
  const project = useProject('plain');

  test('bound the jobs of all files at once', async () => {
    const body = `
      import { Jobserver } from 'jobserver';
      import { test } from 'vitest';
      test('starts jobs', async ({ task }) => {
        const jobserver = new Jobserver();
        const job = new URL('./job.mjs', import.meta.url) + '#work';
        const all = Array.from({ length: 6 }, () => jobserver.run(job));
        task.meta.times = await Promise.all(all);
      });`;
    writeFiles(project(), {
      'job.mjs': `export async function work() {
        const begun = Date.now();
        await new Promise((resolve) => setTimeout(resolve, 30));
        return [begun, Date.now()];
      }`,
      'busy-1.test.js': body,
      'busy-2.test.js': body,
      'busy-3.test.js': body,
    });
    const most = async (slots: number): Promise<number> => {
      const run = await runVitest(project(), ['busy'], { pool: { slots } });
      const all = metas(run).flatMap((meta) => meta['times'] as number[][]);
      expect(all).toHaveLength(18);
      return mostAtOnce(all);
    };
    expect(await most(2)).toBeLessThanOrEqual(2);
    // They do use what there is.
    expect(await most(5)).toBeGreaterThan(2);
  });

  test('are shared with the jobs that tests start', async () => {
    writeFiles(project(), {
      'jobs.mjs': `export const pid = () => process.pid;
        export const log = (text) => console.log(text);`,
      'nested.test.js': `
        import { Jobserver } from 'jobserver';
        import { expect, test } from 'vitest';
        test('starts jobs', async ({ task }) => {
          const jobserver = new Jobserver();
          const job = new URL('./jobs.mjs', import.meta.url) + '#pid';
          const pids = await Promise.all([1, 2, 3].map(() => jobserver.run(job)));
          expect(new Set(pids).size).toBe(3);
          task.meta.slots = jobserver.slots;
          // Their console is not that of vitest.
          const capturing = jobserver.with({ output: 'capture' });
          const future = await capturing.submit(job.replace('pid', 'log'), ['x']);
          await future.result();
          expect(future.stdout).toBe('x\\n');
        });`,
    });
    const slots = async (pool: object): Promise<unknown[]> => {
      const run = await runVitest(project(), ['nested'], { pool });
      return metas(run).map((meta) => meta['slots']);
    };
    expect(await slots({})).toEqual([2]);
    expect(await slots({ slots: 5 })).toEqual([5]);
  });
});

/** How many of the times, from beginning to end, have a moment in common. */
function mostAtOnce(times: readonly (readonly number[])[]): number {
  const counts = times.map(
    ([begun]) => times.filter(([b, e]) => b! <= begun! && begun! < e!).length,
  );
  return Math.max(...counts);
}
