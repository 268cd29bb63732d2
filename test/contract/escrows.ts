import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import { neverHandle } from '../fixtures/escrow-jobs.js';
import { isRemote } from '../helpers/context.js';
import { useFolder } from '../helpers/folder.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { isAlive } from '../helpers/processes.js';
import { rejection } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

const endings = ['kill', 'abort'] as const;
type Jobs = Omit<Parameters<typeof neverHandle>[1], 'count'>;

/** Who holds slots for jobs of its own, and is ended, loses none of them. */
export function escrowContract(context: Context): void {
  const folder = useFolder();

  const pids = (): number[] => {
    const file = join(folder(), 'pids');
    if (!existsSync(file)) return [];
    return readFileSync(file, 'utf8').trim().split('\n').map(Number);
  };

  const expectAllBack = async (
    ending: (typeof endings)[number],
    jobs: Jobs,
  ): Promise<void> => {
    const count = 3;
    const slots = 1 + (jobs.depth ?? 0) + count;
    const js = openJobserver({ context, slots });
    const controller = new AbortController();
    const args = [join(folder(), 'pids'), { count, ...jobs }] as const;
    const { signal } = controller;
    const future = await js.submit(neverHandle, [...args], { signal });
    await until('the jobs of the job', () => pids().length === count);
    if (jobs.jobsPerProcess === undefined) {
      await until('their end', () => !pids().some(isAlive));
    }
    expect(freeSlots(js)).toBe(0);
    if (ending === 'kill') future.kill('SIGKILL');
    else controller.abort();
    await rejection(future.result());
    // On macOS an orphan runs on.
    if (process.platform !== 'linux') writeFileSync(`${args[0]}.gate`, '');
    await until('all slots to be free', () => freeSlots(js) === slots);
  };

  describe.each(endings)('when a job is over by %s', (ending) => {
    test('the slots of its own jobs that have ended are free', () =>
      expectAllBack(ending, {}));

    test('the slots of the jobs of its jobs are free', () =>
      expectAllBack(ending, { depth: 2 }));

    if (isRemote(context)) {
      test('the slots of its processes of several jobs are free', () =>
        expectAllBack(ending, { jobsPerProcess: Infinity }));
    }
  });
}
