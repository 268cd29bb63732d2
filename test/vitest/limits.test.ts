import { writeFiles } from '../helpers/folder.js';
import { type Run, metas, runVitest, useProject } from './vitest.js';

describe('a file that ends early', () => {
  const project = useProject('plain');

  /** Runs it after, or beside, those of the project. */
  async function runWith(body: string, pool: object): Promise<Run> {
    writeFiles(project(), {
      'hostile.test.js': `import { expect, test } from 'vitest';
        test('is hostile', async () => { ${body} });`,
    });
    const run = await runVitest(project(), [], { pool, code: 1 });
    expect(run.output).toContain('4 passed');
    return run;
  }

  test('fails with the heap that it has used up, and others go on', async () => {
    const body = 'const all = []; for (;;) all.push({ all: [...all] });';
    const { output } = await runWith(body, { maxHeapMb: 64 });
    expect(output).toMatch(
      /hostile\.test\.js: killed by SIG(ABRT|TRAP): most likely it ran out of its 64 MiB heap/,
    );
  });

  test('fails with the time that it has used up, although it computes', async () => {
    const { output } = await runWith('for (;;);', { runTimeout: 3000 });
    expect(output).toMatch(/unexpectedly in .*hostile\.test\.js: .*3000 ms/);
  });
});

describe('slots', () => {
  const project = useProject('plain');

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
