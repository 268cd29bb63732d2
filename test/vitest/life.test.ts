import { appendFileSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeFiles } from '../helpers/folder.js';
import { until } from '../helpers/until.js';
import {
  type RunOptions,
  type Running,
  processesOf,
  runVitest,
  startVitest,
  useProject,
} from './vitest.js';

const waits = 'await new Promise(() => setInterval(() => {}, 1000));';

// useProject fails a test that leaves a process behind.
describe('vitest', () => {
  const project = useProject('plain');

  /** A test says in a file that it runs, and then does not end. */
  async function startEndless(
    body: string,
    options?: RunOptions,
  ): Promise<Running> {
    writeFiles(project(), {
      'endless.test.js': `
        import { writeFileSync } from 'node:fs';
        import { test } from 'vitest';
        test('is endless', async () => {
          writeFileSync('begun', '');
          ${body}
        }, 0);`,
    });
    const running = startVitest(project(), ['run', 'endless'], options);
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
    ['waits', waits],
    ['computes', 'for (;;);'],
  ])('leaves no process that %s when it is killed', async (_, body) => {
    const running = await startEndless(body);
    running.process.kill('SIGKILL');
    await running.ended;
  });

  test.each([
    ['Ctrl-C', 'SIGINT', 1],
    ['Ctrl-C, twice', 'SIGINT', 2],
    ['SIGKILL', 'SIGKILL', 1],
  ] as const)(
    'ends by %s with all its processes, and leaves no file',
    async (_, signal, times) => {
      const temporary = join(project(), 'temporary');
      mkdirSync(temporary);
      const before = readdirSync(project());
      const running = await startEndless(waits, {
        env: { TMPDIR: temporary },
      });
      const pid = running.process.pid!;
      for (let i = 0; i < times; i++) {
        // SIGKILL for vitest only: the others have to find out.
        process.kill(signal === 'SIGINT' ? -pid : pid, signal);
        await sleep(20);
      }
      await running.ended;
      expect(running.output()).not.toContain('because it hangs');
      const after = readdirSync(project());
      const made = ['begun', 'endless.test.js'];
      expect(after.sort()).toEqual([...before, ...made].sort());
      // vitest does not delete the folder of modules that it has transformed.
      const left = readdirSync(temporary, { recursive: true }).map(String);
      const own = /^[\w-]{21}(\/\w+(\/[0-9a-f]{40})?)?$/;
      expect(left.filter((name) => !own.test(name))).toEqual([]);
    },
  );

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

  test('leaves no process when it is killed while it watches', async () => {
    const running = startVitest(project(), ['--watch', 'sum-1'], {
      env: { CI: '' },
    });
    await until('the end of the run', () =>
      /Waiting for file/.test(running.output()),
    );
    if (process.platform === 'linux') {
      const zygotes = processesOf(project(), 'jobserver-');
      expect(zygotes.length).toBeGreaterThan(0);
    }
    running.process.kill('SIGKILL');
    await running.ended;
  });

  // What the keys f and t do.
  test('runs the files again that have failed, and tests by their names', async () => {
    const body = (name: string): string => `
      import { appendFileSync } from 'node:fs';
      import { expect, test } from 'vitest';
      test('good ' + '${name}', () => appendFileSync('notes', 'good-${name} '));
      test('other ' + '${name}', () => {
        appendFileSync('notes', 'other-${name} ');
        expect('${name}').toBe('a');
      });`;
    writeFiles(project(), {
      'watched-a.test.js': body('a'),
      'watched-b.test.js': body('b'),
      'watch.mjs': `
        import { readFileSync, writeFileSync } from 'node:fs';
        import { startVitest } from 'vitest/node';
        const told = [];
        const tell = () => {
          const notes = readFileSync('notes', 'utf8').trim().split(' ');
          told.push([notes.sort().join(' '), vitest.state.getCountOfFailedTests()]);
          writeFileSync('notes', '');
        };
        const options = { watch: true, reporters: ['dot'] };
        const vitest = await startVitest('test', ['watched'], options);
        tell();
        await vitest.rerunFailed();
        tell();
        await vitest.changeNamePattern('good');
        tell();
        await vitest.close();
        writeFileSync('told', JSON.stringify(told));
        process.exit();`,
    });
    const told: unknown[] = [];
    for (const pool of [undefined, 'forks']) {
      const running = startVitest(project(), [], {
        program: join(project(), 'watch.mjs'),
        env: { CI: '', ...(pool && { POOL: pool }) },
      });
      await running.ended;
      try {
        told.push(JSON.parse(readFileSync(join(project(), 'told'), 'utf8')));
      } catch {
        throw new Error(running.output());
      }
    }
    const count: unknown = expect.any(Number);
    expect(told[0]).toEqual([
      ['good-a good-b other-a other-b', count],
      ['good-b other-b', count],
      ['good-a good-b', count],
    ]);
    expect(told[0]).toEqual(told[1]);
  });
});
