import type { Context } from '../../dist/context.js';
import { identity } from '../fixtures/jobs.js';
import * as jobs from '../fixtures/value-jobs.js';
import { openJobserver } from '../helpers/jobserver.js';

const mega = 1 << 20;
const { digest, pattern } = jobs;

/** Memory that is used again does not show through in what a job keeps. */
export function reusedValueContract(context: Context): void {
  test('arguments that a process keeps stay as they are while others arrive', async () => {
    const js = openJobserver({ context, slots: 1 });
    const expected: string[] = [];
    for (let i = 0; i < 60; i++) {
      const bytes = pattern([mega, 40_000, 2 * mega][i % 3]!, i);
      if (i % 10 < 3) {
        await js.run(jobs.keep, bytes);
        expected.push(digest(bytes));
      }
      await js.run(identity, bytes);
    }
    expect(await js.run(jobs.keptDigests)).toEqual(expected);
  });

  test('a process keeps no file of arguments that it has copied', async () => {
    const js = openJobserver({ context, slots: 1 });
    const bytes = pattern(40_000, 1);
    // On macOS, the file of the numbers of jobs.
    const before = await js.run(jobs.memoryFiles);
    const counts = [];
    for (let i = 0; i < 3; i++) {
      counts.push(await js.run(jobs.memoryFiles, bytes));
    }
    expect(counts).toEqual([before, before, before]);
  });
}
