import { appendFileSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFiles } from '../helpers/folder.js';
import { until } from '../helpers/until.js';
import {
  type Running,
  processesOf,
  runVitest,
  startVitest,
  useProject,
} from './vitest.js';

// useProject fails a test that leaves a process behind.
describe('vitest', () => {
  const project = useProject('plain');

  /** A test says in a file that it runs, and then does not end. */
  async function startEndless(body: string): Promise<Running> {
    writeFiles(project(), {
      'endless.test.js': `
        import { writeFileSync } from 'node:fs';
        import { test } from 'vitest';
        test('is endless', async () => {
          writeFileSync('begun', '');
          ${body}
        }, 0);`,
    });
    const running = startVitest(project(), ['run', 'endless']);
    await until('the test to begin', () =>
      readdirSync(project()).includes('begun'),
    );
    return running;
  }

  test('leaves no process and no file', async () => {
    const before = readdirSync(project());
    await runVitest(project());
    const after = readdirSync(project());
    expect(after.sort()).toEqual([...before, 'report.json'].sort());
  });

  test.each([
    ['waits', 'await new Promise(() => setInterval(() => {}, 1000));'],
    ['computes', 'for (;;);'],
  ])('leaves no process that %s when it is killed', async (_, body) => {
    const running = await startEndless(body);
    running.process.kill('SIGKILL');
    await running.ended;
  });

  test('ends with all its processes by Ctrl-C', async () => {
    const running = await startEndless(
      'await new Promise(() => setInterval(() => {}, 1000));',
    );
    process.kill(-running.process.pid!, 'SIGINT');
    await running.ended;
    expect(running.output()).not.toContain('because it hangs');
  });

  test('watches: a run after a change has new code, also of preloaded modules', async () => {
    writeFiles(project(), {
      'node_modules/heavy/package.json': '{ "type": "module", "main": "x.js" }',
      'node_modules/heavy/x.js': `export const value = 'old';`,
      'watched.test.js': `
        import { appendFileSync } from 'node:fs';
        import { value } from 'heavy';
        import { test } from 'vitest';
        import { own } from './own.js';
        test('notes', () => {
          appendFileSync('notes', value + ' ' + own + ' ');
        });`,
      'own.js': 'export const own = 1;',
    });
    const notes = (): string => {
      try {
        return readFileSync(join(project(), 'notes'), 'utf8');
      } catch {
        return ''; // There is none yet.
      }
    };
    const running = startVitest(project(), ['--watch', 'watched'], {
      pool: { preload: ['heavy'] },
      env: { CI: '' },
    });
    await until('the first run', () => notes() === 'old 1 ', 30_000);
    await until('its end', () => /Waiting for file/.test(running.output()));
    writeFiles(project(), {
      'node_modules/heavy/x.js': `export const value = 'new';`,
    });
    appendFileSync(join(project(), 'own.js'), 'own += 1;');
    writeFiles(project(), { 'own.js': 'export const own = 2;' });
    await until('the second run', () => notes().endsWith('new 2 '), 30_000);
    await until(
      'the zygote to end after the run',
      () => processesOf(project(), 'jobserver-').length === 0,
      30_000,
    );
    running.process.kill('SIGTERM');
    await running.ended;
  });
});
