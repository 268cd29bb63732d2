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

  test.each(['v8', 'istanbul'])(
    'are covered as by vitest itself: %s',
    async (provider) => {
      const args = [
        ...['--coverage', `--coverage.provider=${provider}`],
        `--coverage.reportsDirectory=${join(project(), 'coverage')}`,
      ];
      const covered: unknown[] = [];
      for (const options of [{}, forks]) {
        await runVitest(project(), args, options);
        const file = join(project(), 'coverage', 'coverage-final.json');
        covered.push(JSON.parse(readFileSync(file, 'utf8')));
      }
      expect(covered[0]).toEqual(covered[1]);
      expect(Object.keys(covered[0]!)).toHaveLength(1);
    },
  );
});
