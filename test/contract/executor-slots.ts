import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import {
  type ExecutorFuture,
  JobserverExecutor,
  LostResult,
} from '../../dist/index.js';
import * as ends from '../fixtures/ending-jobs.js';
import * as jobs from '../fixtures/executor-jobs.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { hasEventLoop } from '../helpers/context.js';
import { freeSlots, ofOwnProcess } from '../helpers/jobserver.js';
import { rejection } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';
import { collect, linesOf, useExecutors } from './executor-setup.js';

/** JobserverExecutor: how its calls get slots and start. */
export function executorSlotContract(context: Context): void {
  const { makeGate, newLog, open, queue } = useExecutors(context);

  test('a job that cannot be started rejects its promise, and the queue continues', async () => {
    const executor = queue(1);
    const home = process.cwd();
    const gone = mkdtempSync(join(tmpdir(), 'gone-'));
    process.chdir(gone);
    const work = executor.submit(identity<number>, 1);
    process.chdir(home);
    rmSync(gone, { recursive: true });
    expect(await rejection(work)).toMatchObject({ code: 'ENOENT' });
    expect(work.state).toBe('finished');
    expect(await executor.submit(identity<number>, 2)).toBe(2);
  });

  test('environment, preexec and sleep gate of the Jobserver apply to calls', async () => {
    let asked = 0;
    const js = open(1)
      .reviseEnv({ FROM_ENV: 'e' })
      .replacePreexec(jobs.setVariable, 'FROM_PREEXEC', 'p')
      .replaceSleep(() => (asked++ === 0 ? 20 : undefined));
    const executor = new JobserverExecutor(js);
    expect(await executor.submit(jobs.variable, 'FROM_ENV')).toBe('e');
    expect(await executor.submit(jobs.variable, 'FROM_PREEXEC')).toBe('p');
    expect(asked).toBeGreaterThan(2);
  });

  test('a sleep gate that throws rejects every call with its error', async () => {
    const js = open(1).replaceSleep(() => {
      throw new Error('closed gate');
    });
    const executor = new JobserverExecutor(js);
    const work = [1, 2, 3].map((n) => executor.submit(identity<number>, n));
    const settled = await Promise.allSettled(work);
    for (const each of settled) {
      expect(each).toMatchObject({ reason: { message: 'closed gate' } });
    }
  });

  test.each([undefined, 20])(
    'a sleep gate may cancel the call that it decides about, and return %p',
    async (answer) => {
      const work: ExecutorFuture<unknown>[] = [];
      const js = open(1);
      const gated = js.replaceSleep(() => {
        for (const each of work) each.cancel();
        return answer;
      });
      const executor = new JobserverExecutor(gated);
      work.push(executor.submit(identity<number>, 1));
      expect(await rejection(work[0]!)).toMatchObject({ name: 'AbortError' });
      await executor.shutdown();
      expect([js.running, freeSlots(js)]).toEqual([0, 1]);
    },
  );

  describe('sharing slots', () => {
    test('two executors on one slot both finish their calls', async () => {
      const js = open(1);
      const [a, b] = [new JobserverExecutor(js), new JobserverExecutor(js)];
      const values = [1, 2, 3, 4, 5, 6];
      const both = [a, b].map((executor) =>
        Promise.all(values.map((n) => executor.submit(identity<number>, n))),
      );
      expect(await Promise.all(both)).toEqual([values, values]);
    });

    ofOwnProcess(
      'a job submitted directly does not wait for the whole queue',
      async () => {
        const js = open(1);
        const executor = new JobserverExecutor(js);
        const gate = makeGate();
        const holder = executor.submit(waitAt, gate.file);
        await until('the call to run', () => holder.state === 'running');
        const log = newLog();
        const work = Array.from({ length: 10 }, (_, i) =>
          executor.submit(jobs.note, log, `queued ${i}`),
        );
        await new Promise((wake) => setImmediate(wake));
        const direct = js.run(jobs.note, log, 'direct');
        gate.open();
        await Promise.all([...work, direct]);
        expect(linesOf(log).indexOf('direct')).toBe(1);
      },
    );

    test('queued, direct, mapped and nested jobs all finish on one slot', async () => {
      const js = open(1);
      const executor = new JobserverExecutor(js);
      const values = [1, 2, 3, 4];
      const fanOut: (values: number[]) => number[] | Promise<number[]> =
        hasEventLoop(context) ? jobs.fanOut : jobs.fanOutBlocking;
      const all = await Promise.all([
        Promise.all(values.map((n) => executor.submit(identity<number>, n))),
        Promise.all(values.map((n) => js.run(identity<number>, n))),
        collect(js.map(identity<number>, values)),
        collect(executor.map(identity<number>, values)),
        executor.submit(fanOut, values),
      ]);
      expect(all).toEqual(all.map(() => values));
      await executor.shutdown();
    });

    test('40 calls with mixed outcomes on 2 slots each get their own outcome', async () => {
      const executor = queue(2);
      const work = Array.from({ length: 40 }, (_, i) => {
        if (i % 10 === 3) return executor.submit(ends.fail, `${i}`);
        if (i % 10 === 6) return executor.submit(ends.die);
        return executor.submit(identity<number>, i);
      });
      for (let i = 9; i < 40; i += 10) work[i]!.cancel();
      const settled = await Promise.allSettled<unknown>(work);
      for (const [i, each] of settled.entries()) {
        if (i % 10 === 3) {
          expect(each).toMatchObject({ reason: { message: `${i}` } });
        } else if (i % 10 === 6) {
          expect(each).toMatchObject({ reason: expect.any(LostResult) });
        } else if (i % 10 === 9) {
          expect(each).toMatchObject({ reason: { name: 'AbortError' } });
        } else {
          expect(each).toEqual({ status: 'fulfilled', value: i });
        }
      }
      expect(executor.completed).toBe(36);
    });
  });
}
