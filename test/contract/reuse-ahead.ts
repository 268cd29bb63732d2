import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../../dist/context.js';
import {
  Blocked,
  type Future,
  type Jobserver,
  JobserverExecutor,
  LostResult,
} from '../../dist/index.js';
import { announceAndWait } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import * as jobs from '../fixtures/reuse-jobs.js';
import { useFolder } from '../helpers/folder.js';
import { openJobserver } from '../helpers/jobserver.js';
import { rejection } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

/**
 * A process that runs several jobs is sent the next ones before they have a
 * slot. Nobody can notice, except by the time.
 */
export function aheadContract(context: Context): void {
  const folder = useFolder();
  const at = (name: string): string => join(folder(), name);
  const make = (name: string): void => {
    writeFileSync(at(name), '');
  };
  const runs = (): number =>
    existsSync(at('log')) ? readFileSync(at('log'), 'utf8').length / 4 : 0;

  /** Each slot has a process that has answered, and so takes jobs ahead. */
  const openWarm = async (slots: number): Promise<Jobserver> => {
    const js = openJobserver({ context, slots, jobsPerProcess: Infinity });
    const calls = Array.from({ length: slots }, () => js.run(jobs.pause));
    await Promise.all(calls);
    return js;
  };

  /** A job that runs until `gate` exists. */
  const hold = (js: Jobserver): Promise<Future<unknown>> =>
    js.submit(jobs.waitFor, [at('gate')]);

  /** Gives the library time to send a call ahead. */
  const turn = (): Promise<void> => sleep(5);

  test('a call whose time is up is Blocked and never runs', async () => {
    const js = await openWarm(1);
    const held = await hold(js);
    const late = js.submit(jobs.logRun, [at('log')], { timeout: 50 });
    expect(await rejection(late)).toBeInstanceOf(Blocked);
    make('gate');
    await held.result();
    expect(await js.run(identity, 1)).toBe(1);
    expect(runs()).toBe(0);
  });

  test('a call that is aborted never runs', async () => {
    const js = await openWarm(1);
    const held = await hold(js);
    const abort = new AbortController();
    const call = js.submit(jobs.logRun, [at('log')], { signal: abort.signal });
    await turn();
    abort.abort();
    expect(await rejection(call)).toMatchObject({ name: 'AbortError' });
    make('gate');
    await held.result();
    expect(await js.run(identity, 1)).toBe(1);
    expect(runs()).toBe(0);
  });

  test('a call of an executor that is cancelled never runs', async () => {
    const js = await openWarm(1);
    const held = await hold(js);
    const executor = new JobserverExecutor(js);
    const calls = [1, 2, 3].map(() => executor.submit(jobs.logRun, at('log')));
    await turn();
    expect(calls.map((call) => call.cancel())).toEqual([true, true, true]);
    make('gate');
    await held.result();
    await executor.shutdown();
    expect(runs()).toBe(0);
  });

  test('close rejects the calls, which never run', async () => {
    const js = await openWarm(1);
    const held = await hold(js);
    const call = js.submit(jobs.logRun, [at('log')]);
    await turn();
    const closed = js.close();
    expect(await rejection(call)).toMatchObject({
      code: 'ERR_JOBSERVER_CLOSED',
    });
    make('gate');
    await Promise.all([held.result(), closed]);
    expect(runs()).toBe(0);
  });

  test('a process that dies loses one job, and the others run once', async () => {
    const js = await openWarm(1);
    const lost = js.run(jobs.endBy, 'SIGKILL');
    const others = Array.from({ length: 20 }, () =>
      js.run(jobs.logRun, at('log')),
    );
    expect(await rejection(lost)).toBeInstanceOf(LostResult);
    await Promise.all(others);
    expect(runs()).toBe(20);
  });

  test('a kill of a job spares those behind it', async () => {
    const js = await openWarm(1);
    const future = await js.submit(jobs.waitFor, [at('gate')]);
    const others = Array.from({ length: 5 }, () =>
      js.run(jobs.logRun, at('log')),
    );
    await turn();
    future.kill('SIGKILL');
    expect(await rejection(future.result())).toBeInstanceOf(LostResult);
    await Promise.all(others);
    expect(runs()).toBe(5);
  });

  // The turn of a process may be over before a call is sent ahead.
  const retried = async (
    attempt: (name: (file: string) => string) => Promise<boolean>,
  ): Promise<void> => {
    for (let i = 0; !(await attempt((file) => at(`${file}${i}`))); i++) {
      expect(i).toBeLessThan(20);
    }
  };

  /** Blocks the thread. */
  const happensSoon = (isSo: () => boolean): boolean => {
    const never = new Int32Array(new SharedArrayBuffer(4));
    for (let i = 0; i < 100 && !isSo(); i++) Atomics.wait(never, 0, 0, 10);
    return isSo();
  };

  test('a kill of a job that has returned spares those behind it', async () => {
    const js = await openWarm(1);
    await retried(async (name) => {
      // Its answer is read in several turns of the event loop.
      const future = await js.submit(jobs.longText, [name('gate')]);
      const [started, end] = [name('started'), name('end')];
      const other = js.run(announceAndWait<number>, started, end, 1);
      await turn();
      writeFileSync(name('gate'), '');
      const isAhead = happensSoon(() => existsSync(started));
      if (isAhead) expect(future.kill('SIGKILL')).toBe(false);
      writeFileSync(end, '');
      expect(await other).toBe(1);
      return isAhead;
    });
  });

  test('an abort of a job that has returned spares those behind it', async () => {
    const js = await openWarm(1);
    await retried(async (name) => {
      const held = js.run(jobs.waitFor, name('gate'));
      const abort = new AbortController();
      const [first, second] = [abort.signal, undefined].map((signal, i) =>
        js.submit(jobs.logRun, [name(`log${i}.`)], { signal }),
      );
      await turn();
      writeFileSync(name('gate'), '');
      const isAhead = happensSoon(() => existsSync(name('log1.')));
      abort.abort();
      const aborted = first!.then((future) => future.result());
      expect(await rejection(aborted)).toMatchObject({ name: 'AbortError' });
      expect(await held).toBe('seen');
      expect(await (await second!).result()).toBeGreaterThan(0);
      return isAhead;
    });
  });

  test('a long job delays none of the short ones behind it', async () => {
    const js = await openWarm(2);
    const held = js.run(jobs.waitFor, at('gate'));
    const others = Array.from({ length: 40 }, (_, i) => js.run(identity, i));
    expect(await Promise.all(others)).toHaveLength(40);
    make('gate');
    await held;
  });

  test('two jobs that wait for each other meet', async () => {
    const js = await openWarm(2);
    const calls = [
      js.run(jobs.meet, at('a'), at('b')),
      js.run(jobs.pause),
      js.run(jobs.meet, at('b'), at('a')),
    ];
    expect(await Promise.all(calls)).toEqual(['met', undefined, 'met']);
  });

  test('a job of its own process gets its turn', async () => {
    const js = await openWarm(1);
    const fresh = js.with({ jobsPerProcess: 1 });
    let isOver = false;
    const stream = async (): Promise<void> => {
      while (!isOver) await js.run(identity, 1);
    };
    const streams = Array.from({ length: 8 }, stream);
    expect(await fresh.run(identity, 2)).toBe(2);
    isOver = true;
    await Promise.all(streams);
  });

  test('each job has the environment of its handle', async () => {
    const js = await openWarm(1);
    const variables = Array.from({ length: 9 }, (_, i) => String(i % 3));
    const seen = await Promise.all(
      variables.map((REUSE_TEST) =>
        js.with({ env: { REUSE_TEST } }).run(jobs.surroundings),
      ),
    );
    expect(seen.map(({ variable }) => variable)).toEqual(variables);
  });

  test('large and small arguments arrive in any order', async () => {
    const js = await openWarm(1);
    const lengths = [1, 9000, 2, 3, 100_000, 4];
    const seen = await Promise.all(
      lengths.map((length) => js.run(identity<Buffer>, Buffer.alloc(length))),
    );
    expect(seen.map(({ length }) => length)).toEqual(lengths);
  });

  test('a callback that submits and waits is served', async () => {
    const js = await openWarm(1);
    const future = await js.submit(identity, [1]);
    let inner: number | undefined;
    future.whenDone(() => {
      inner = js.submitSync(identity<number>, [2]).resultSync();
    });
    const others = Array.from({ length: 5 }, (_, i) => js.run(identity, i));
    await Promise.all(others);
    await until('the callback', () => inner === 2);
  });
}
