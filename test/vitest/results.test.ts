import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFiles } from '../helpers/folder.js';
import {
  type Run,
  comparable,
  metas,
  runVitest,
  summary,
  useProject,
} from './vitest.js';

const forks = { env: { POOL: 'forks' } };

describe('files that fail in all ways', () => {
  const project = useProject('hostile');

  test('have the results, the exit code and the text of vitest itself', async () => {
    writeFiles(project(), { 'syntax.test.js': "test('x', () => { (;" });
    const ours = await runVitest(project(), [], { code: 1 });
    const theirs = await runVitest(project(), [], { ...forks, code: 1 });
    expect(summary(ours)).toEqual(summary(theirs));
    // What theirs does not say.
    const reasons = comparable(ours).filter((line) =>
      /exited unexpectedly/.test(line),
    );
    expect(reasons).toEqual([
      'Caused by: Error: Worker exited unexpectedly in FOLDER/kill.test.js: killed by SIGKILL',
      'Caused by: Error: Worker exited unexpectedly in FOLDER/real-exit.test.js: exit code 4',
    ]);
    expect(withoutReasons(ours)).toEqual(withoutReasons(theirs));
    // What runs in the process of a file is in no stack.
    expect(ours.output).toContain('No test suite found in file');
    expect(ours.output).not.toContain('runtime.js');
    const all = metas(ours).flatMap(({ random }) => random ?? []);
    expect(all).toHaveLength(6);
    expect(new Set(all).size).toBe(6);
  });
});

function withoutReasons(run: Run): string[] {
  return comparable(run).map((line) =>
    line
      .replace(/(Worker exited unexpectedly) .*/, '$1')
      .replace('Worker jobserver', 'Worker forks'),
  );
}

describe('files that pass', () => {
  const project = useProject('plain');

  test.each<[name: string, args: readonly string[], pool: object]>([
    ['v8', ['--coverage.provider=v8'], {}],
    ['istanbul', ['--coverage.provider=istanbul'], {}],
    ['v8, in jsdom', ['--coverage.provider=v8', '--environment=jsdom'], {}],
    [
      'v8, with preloaded modules',
      ['--coverage.provider=v8'],
      { preload: ['typescript'] },
    ],
    [
      'v8, of projects',
      ['--coverage.provider=v8', '--config=projects.config.js'],
      {},
    ],
  ])('are covered as by vitest itself: %s', async (_, args, pool) => {
    writeFiles(project(), {
      'projects.config.js': `
        import config from './vitest.config.js';
        const { pool } = config.test;
        const of = (name, environment, files) =>
          ({ test: { pool, name, environment, include: files } });
        config.test.projects = [
          of('one', 'node', ['sum-1.test.js', 'sum-2.test.js']),
          of('two', 'jsdom', ['sum-3.test.js']),
        ];
        export default config;`,
    });
    const all = [
      ...['--coverage', ...args],
      `--coverage.reportsDirectory=${join(project(), 'coverage')}`,
    ];
    const covered: unknown[] = [];
    for (const options of [{ pool }, forks]) {
      await runVitest(project(), all, options);
      const file = join(project(), 'coverage', 'coverage-final.json');
      covered.push(JSON.parse(readFileSync(file, 'utf8')));
    }
    expect(covered[0]).toEqual(covered[1]);
    expect(Object.keys(covered[0]!)).toHaveLength(1);
  });
});
