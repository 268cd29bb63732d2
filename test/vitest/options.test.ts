import type { PoolRunnerInitializer } from 'vitest/node' with {
  'resolution-mode': 'import',
};
import { symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { jobserverPool } from '../../dist/vitest.js';
import { useFolder, writeFiles } from '../helpers/folder.js';
import { runNode } from '../helpers/program.js';
import { thrown } from '../helpers/thrown.js';

test.each<[options: object, name: string]>([
  [{ preload: 'typescript' }, '`preload`'],
  [{ preload: [1] }, '`preload[0]`'],
  [{ warmUp: 3 }, '`warmUp`'],
  [{ slots: 0 }, '`slots`'],
  [{ maxHeapMb: 0 }, '`maxHeapMb`'],
  [{ runTimeout: 0 }, '`runTimeout`'],
  [{ limits: { files: 1 } }, 'files'],
  [{ retries: 1 }, 'retries'],
])('an invalid option is refused at once: %j', (options, name) => {
  const error = thrown(() => jobserverPool(options));
  expect((error as Error).message).toContain(name);
});

test('vitest takes the pool', () => {
  const pool: PoolRunnerInitializer = jobserverPool({
    preload: ['typescript'],
  });
  expect(pool.name).toBe('jobserver');
});

describe('another vitest', () => {
  const folder = useFolder();

  test.each([
    ['3.2.4', 'and has found vitest 3.2.4'],
    ['4.0.18', 'and has found vitest 4.0.18'],
    ['4.1.0', undefined],
    ['5.0.0-beta.1', undefined],
    [undefined, 'which is not installed'],
  ])(
    'of version %s is refused unless it has this kind of pool',
    async (version, text) => {
      const own = join(folder(), 'node_modules', 'jobserver');
      writeFiles(folder(), {
        'node_modules/jobserver/x': '',
        'main.mjs': `import { jobserverPool } from 'jobserver/vitest';
        try {
          console.log(jobserverPool().name);
        } catch ({ message }) {
          console.log(message);
        }`,
      });
      // Without the vitest of this repository.
      for (const part of ['build', 'dist', 'package.json']) {
        symlinkSync(resolve(part), join(own, part));
      }
      symlinkSync(
        resolve('node_modules', 'node-gyp-build'),
        join(folder(), 'node_modules', 'node-gyp-build'),
      );
      if (version !== undefined) {
        writeFiles(folder(), {
          'node_modules/vitest/package.json': JSON.stringify({ version }),
        });
      }
      const { stdout, stderr } = await runNode(
        ['--preserve-symlinks', '--preserve-symlinks-main', 'main.mjs'],
        { cwd: folder() },
      );
      const whole = `jobserver/vitest needs vitest 4.1 or later, ${text}`;
      expect(stderr).toBe('');
      expect(stdout).toBe(`${text === undefined ? 'jobserver' : whole}\n`);
    },
  );
});
