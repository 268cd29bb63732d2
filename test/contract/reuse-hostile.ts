import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../../dist/context.js';
import type { Future, Jobserver } from '../../dist/index.js';
import * as hostile from '../fixtures/hostile-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { pid } from '../fixtures/reuse-jobs.js';
import { useFolder } from '../helpers/folder.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { stateOf } from '../helpers/processes.js';
import { until } from '../helpers/until.js';
import { withSeed } from '../stress/random.js';

/**
 * A job can lie about every job that was sent to its process, and harms no
 * other one.
 */
export function hostileContract(context: Context): void {
  // The jobs find what they attack in /proc.
  const onLinux = process.platform === 'linux' ? test : test.skip;
  const folder = useFolder();
  const open = (slots: number): Jobserver =>
    openJobserver({ context, slots, jobsPerProcess: Infinity });

  onLinux('a job finds no descriptor of the page', async () => {
    const js = open(1);
    const targets = await js.run(hostile.fdTargets);
    expect(targets.filter((target) => /memfd|deleted/.test(target))).toEqual(
      [],
    );
  });

  onLinux.each(hostile.attackNames)('a job that %s', (name) =>
    withSeed(async (random) => {
      const js = open(1);
      // These have processes of their own.
      const others = js.with({ jobsPerProcess: 1e6 });
      let isOver = false;
      const stream = async (): Promise<void> => {
        for (let i = 0; !isOver; i++)
          expect(await others.run(identity, i)).toBe(i);
      };
      // Short jobs that are known are sent ahead.
      await Promise.all(Array.from({ length: 30 }, () => js.run(pid)));
      const process = await js.run(pid);

      // What becomes of these is not said, except that they settle.
      const call = async (promise: Promise<Future<unknown>>): Promise<void> => {
        const future = await promise;
        // One that is never answered has to be killed.
        if (!(await future.wait({ timeout: 400 }))) future.kill('SIGKILL');
        await future.result();
      };
      const seed = Math.floor(random() * 1e9);
      const calls = [
        call(js.submit(hostile.attack, [name, seed, join(folder(), 'gate')])),
        // So few that they are sent before the turn of the process is over.
        ...[1, 2, 3].map((i) => call(js.submit(identity, [i]))),
      ];
      await sleep(1);
      const streams = Promise.all([stream(), stream()]);
      for (const length of [1, 5000, 2, 5000, 3]) {
        calls.push(call(js.submit(identity, [Buffer.alloc(length)])));
      }
      let settled = 0;
      for (const each of calls) {
        const count = (): number => (settled += 1);
        each.then(count, count);
      }
      await until('all calls to settle', () => settled === calls.length);

      isOver = true;
      await streams;
      expect([js.running, freeSlots(js)]).toEqual([0, 1]);
      await js.close();
      expect(stateOf(process)).toBe('X');
    }),
  );
}
