import type { Context } from '../../dist/context.js';
import type { JobserverOptions } from '../../dist/index.js';
import * as jobs from '../fixtures/reuse-jobs.js';
import { openJobserver } from '../helpers/jobserver.js';

const all = { jobsPerProcess: Infinity };
const settings: [JobserverOptions, processes: number][] = [
  [all, 1],
  [{}, 3],
  [{ jobsPerProcess: 2 }, 2],
  [{ ...all, maxProcessMemory: 1 }, 3],
  [{ ...all, idleTimeout: 0 }, 3],
];

/** Which jobs of a job share a process. */
export function reuseSettingsContract(context: Context): void {
  /** How many processes three jobs of a job have. */
  const countNested = async (
    given: JobserverOptions,
    isPassed: boolean,
  ): Promise<number> => {
    const js = openJobserver({
      jobsPerProcess: 1,
      ...given,
      context,
      slots: 2,
    });
    const pids = await js.run(jobs.nestedPids, isPassed ? js : undefined);
    expect(pids).toHaveLength(3);
    return new Set(pids).size;
  };

  test.each(settings)(
    'a handle that is passed to a job has its settings there: %j',
    async (given, processes) => {
      expect(await countNested(given, true)).toBe(processes);
    },
  );

  test.each(settings)(
    'a nested Jobserver inherits no settings of processes: %j',
    async (given) => {
      expect(await countNested(given, false)).toBe(3);
    },
  );

  test('a nested Jobserver of its own settings inherits no others', async () => {
    const given = { maxProcessMemory: 1, idleTimeout: 0 };
    const js = openJobserver({ ...all, ...given, context, slots: 2 });
    const pids = await js.run(jobs.nestedPids, undefined, all);
    expect(new Set(pids).size).toBe(1);
  });
}
