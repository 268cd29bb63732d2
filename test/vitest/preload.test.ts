import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { testIf } from '../helpers/context.js';
import { writeFiles } from '../helpers/folder.js';
import { metas, runVitest, useProject } from './vitest.js';

const heavy = {
  'node_modules/heavy/package.json': '{ "type": "module", "main": "x.js" }',
  'node_modules/heavy/x.js': `export const loadedBy = process.pid;
    export const mode = process.env.NODE_ENV;`,
};

const importsHeavy = (n: number): Record<string, string> => ({
  [`heavy-${n}.test.js`]: `
    import { loadedBy, mode } from 'heavy';
    import { expect, test, vi } from 'vitest';
    test('notes', ({ task }) => {
      task.meta.isLoadedHere = loadedBy === process.pid;
      expect(mode).toBe('test');
    });`,
});

// Elsewhere each file starts a new node, which loads what it needs itself.
const isForked = process.platform === 'linux';
const forked = testIf(isForked);

describe('preload', () => {
  const project = useProject('plain');

  const isLoadedHere = async (
    pool: object,
    filter = 'heavy',
  ): Promise<unknown[]> => {
    const run = await runVitest(project(), [filter], { pool });
    return metas(run).map((meta) => meta['isLoadedHere']);
  };

  forked('loads modules once, for all files, which may mock them', async () => {
    writeFiles(project(), { ...heavy, ...importsHeavy(1), ...importsHeavy(2) });
    expect(await isLoadedHere({})).toEqual([true, true]);
    expect(await isLoadedHere({ preload: ['heavy'] })).toEqual([false, false]);
    writeFiles(project(), {
      'heavy-2.test.js': `
        import { loadedBy } from 'heavy';
        import { expect, test, vi } from 'vitest';
        vi.mock('heavy', () => ({ loadedBy: 'mocked' }));
        test('is mocked', () => expect(loadedBy).toBe('mocked'));`,
    });
    expect(await isLoadedHere({ preload: ['heavy'] })).toEqual([false]);
  });

  forked(
    'gives files a zygote without a rehearsal that leaves a handle',
    async () => {
      writeFiles(project(), {
        'preload.js': `
        import { setInterval } from 'node:timers';
        const { set } = Map.prototype;
        // vitest has maps of files, also of the file of the rehearsal.
        Map.prototype.set = function (key, value) {
          if (typeof key === 'string' && key.includes('jobserver-rehearsal')) {
            setInterval(() => undefined, 1000);
          }
          return Reflect.apply(set, this, [key, value]);
        };`,
      });
      const run = await runVitest(project(), ['sum-1', 'sum-2'], {
        pool: { preload: ['./preload.js'] },
        env: { NODE_DEBUG: 'jobserver' },
      });
      expect(run.files.map(({ status }) => status)).toEqual([
        'passed',
        'passed',
      ]);
      expect(run.output).toMatch(
        /no rehearsal of vitest: .*rehearsal\.js has left open handles/,
      );
    },
  );

  forked('fails each file with what a module throws', async () => {
    writeFiles(project(), {
      ...heavy,
      'node_modules/heavy/x.js': `throw new Error('not today');`,
    });
    const run = await runVitest(project(), ['sum-1', 'sum-2'], {
      code: 1,
      pool: { preload: ['heavy'] },
    });
    expect(run.output).toMatch(/Failed to start .*sum-1\.test\.js/);
    expect(run.output).toContain('not today');
    const missing = await runVitest(project(), ['sum-1'], {
      code: 1,
      pool: { preload: ['no-such-package'] },
    });
    expect(missing.output).toContain('no-such-package');
  });

  forked(
    "'auto' finds what files import in one run, and loads it in the next",
    async () => {
      writeFiles(project(), {
        ...heavy,
        ...importsHeavy(1),
        ...importsHeavy(2),
      });
      const pool = { preload: 'auto' };
      expect(await isLoadedHere(pool)).toEqual([true, true]);
      expect(await isLoadedHere(pool)).toEqual([false, false]);
      // A run of one file is not the last word.
      expect(await isLoadedHere(pool, 'heavy-1')).toEqual([false]);
      expect(await isLoadedHere(pool)).toEqual([false, false]);
    },
  );

  forked(
    "'auto' leaves a module to the files that cannot be preloaded",
    async () => {
      writeFiles(project(), {
        ...heavy,
        'node_modules/heavy/x.js': `${heavy['node_modules/heavy/x.js']}
        setInterval(() => {}, 1000);`,
        ...importsHeavy(1),
        ...importsHeavy(2),
      });
      const pool = { preload: 'auto' };
      for (let i = 0; i < 3; i++) {
        expect(await isLoadedHere(pool)).toEqual([true, true]);
      }
      const cache = join(project(), 'node_modules', '.vite');
      const [file = ''] = readdirSync(cache, { recursive: true })
        .map(String)
        .filter((name) => name.endsWith(join('jobserver', 'preload.json')));
      const kept = readFileSync(join(cache, file), 'utf8');
      expect(kept).toMatch(/"refused": \[\s*"file:.*heavy/);
    },
  );

  testIf(!isForked)('loads nothing for files that are spawned', async () => {
    writeFiles(project(), { ...heavy, ...importsHeavy(1), ...importsHeavy(2) });
    const pool = { preload: ['heavy'] };
    expect(await isLoadedHere(pool)).toEqual([true, true]);
    const { output } = await runVitest(project(), [], { pool });
    expect(output.match(/JOBSERVER_VITEST_SPAWN/g)).toHaveLength(1);
  });
});
