import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import { die, fail } from '../fixtures/ending-jobs.js';
import { note } from '../fixtures/executor-jobs.js';
import { pause, waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { useGates } from '../helpers/gate.js';
import {
  freeSlots,
  ofOwnProcess,
  openJobserver,
} from '../helpers/jobserver.js';
import { isAlive } from '../helpers/processes.js';
import { runNode } from '../helpers/program.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { badTimeouts } from '../helpers/timeouts.js';
import { timeoutFactor, until } from '../helpers/until.js';
import { untilSync } from './until-sync.js';

const blocked = { name: 'Blocked', code: 'ERR_JOBSERVER_BLOCKED' };
const lost = { name: 'LostResult', code: 'ERR_JOBSERVER_LOST_RESULT' };
const typeError = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const programs = join(__dirname, '..', 'fixtures', 'waiting-programs.js');

/** Futures: how to wait for a job, and for how long. */
export function waitingContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  test('a future becomes done when its job ends, and stays done', async () => {
    const js = open(1);
    const gate = makeGate();
    const future = await js.submit(waitAt, [gate.file, { big: 1n }]);
    const zero = { timeout: 0 };
    expect([future.done(), future.waitSync(zero)]).toEqual([false, false]);
    expect(await future.wait(zero)).toBe(false);
    expect(await rejection(future.result(zero))).toMatchObject(blocked);
    expect(thrown(() => future.resultSync(zero))).toMatchObject(blocked);
    gate.open();
    expect([await future.wait(), await future.wait()]).toEqual([true, true]);
    expect([future.done(), future.waitSync(zero)]).toEqual([true, true]);
    const value = await future.result(zero);
    expect(value).toEqual({ big: 1n });
    expect([await future.result(), future.resultSync(zero)]).toEqual([
      value,
      value,
    ]);
    expect(future.resultSync()).toBe(value);
  });

  // A blocked event loop runs timers before it polls descriptors.
  ofOwnProcess(
    'a job that ends in time counts as in time, even when the thread is busy for longer',
    async () => {
      const js = open(1);
      const gate = makeGate();
      const timeout = 100;
      const first = await js.submit(note, [gate.file, 'first']);
      const pid = first.pid!;
      const calls = [
        first.wait({ timeout }),
        first.result({ timeout }),
        js.submit(identity<number>, [2], { timeout }),
      ] as const;
      untilSync('the job to run', () => existsSync(gate.file));
      untilSync('the worker to end', () => !isAlive(pid));
      // With forkserver, the zygote reports the end within this time.
      pause(1000 * timeoutFactor);
      const [isDone, value, second] = await Promise.all(calls);
      expect([isDone, value, await second.result()]).toEqual([
        true,
        'first',
        2,
      ]);
    },
  );

  test('no wait times out early', async () => {
    const js = open(1);
    const future = await js.submit(waitAt, [makeGate().file]);
    for (const timeout of [0.5, 20.25]) {
      const waits: [() => unknown, unknown][] = [
        [() => future.wait({ timeout }), false],
        [() => future.waitSync({ timeout }), false],
        [() => rejection(future.result({ timeout })), blocked],
        [() => thrown(() => future.resultSync({ timeout })), blocked],
      ];
      for (const [wait, outcome] of waits) {
        const start = performance.now();
        const settled = await wait();
        expect(performance.now() - start).toBeGreaterThanOrEqual(timeout);
        if (outcome === false) expect(settled).toBe(false);
        else expect(settled).toMatchObject(outcome as object);
      }
    }
  });

  test('an invalid timeout or options value throws, and the future stays usable', async () => {
    const js = open(1);
    const gate = makeGate();
    const future = await js.submit(waitAt, [gate.file, 7]);
    for (const [timeout, error] of badTimeouts) {
      const options = { timeout } as never;
      expect(await rejection(future.wait(options))).toMatchObject(error);
      expect(await rejection(future.result(options))).toMatchObject(error);
      expect(thrown(() => future.waitSync(options))).toMatchObject(error);
      expect(thrown(() => future.resultSync(options))).toMatchObject(error);
    }
    for (const options of [5, null, 'timeout'] as never[]) {
      expect(await rejection(future.wait(options))).toMatchObject(typeError);
      expect(await rejection(future.result(options))).toMatchObject(typeError);
      expect(thrown(() => future.waitSync(options))).toMatchObject(typeError);
      expect(thrown(() => future.resultSync(options))).toMatchObject(typeError);
    }
    gate.open();
    expect(await future.result({ timeout: null as never })).toBe(7);
  });

  test('waits of more than 24 days do not expire at once', async () => {
    const js = open(1);
    const gate = makeGate();
    const future = await js.submit(waitAt, [gate.file, 7]);
    const timeouts = [2 ** 31, 2 ** 53, Number.MAX_VALUE];
    const waits = timeouts.map((timeout) => future.wait({ timeout }));
    const results = timeouts.map((timeout) => future.result({ timeout }));
    const any = Promise.race([...waits, ...results]);
    const later = new Promise((resolve) => setTimeout(resolve, 20, 'later'));
    expect(await Promise.race([any, later])).toBe('later');
    gate.open();
    for (const timeout of timeouts) {
      expect(future.waitSync({ timeout })).toBe(true);
      expect(future.resultSync({ timeout })).toBe(7);
    }
    expect(await Promise.all(waits)).toEqual([true, true, true]);
    expect(await Promise.all(results)).toEqual([7, 7, 7]);
  });

  test('10,000 waits that time out leave no timer, and the next wait works', async () => {
    const js = open(1);
    const gate = makeGate();
    const future = await js.submit(waitAt, [gate.file, 7]);
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((it) => it === 'Timeout').length;
    const before = timers();
    for (let round = 0; round < 10; round++) {
      const waits = Array.from({ length: 1000 }, (_, i) =>
        future.wait({ timeout: i % 2 }),
      );
      expect(new Set(await Promise.all(waits))).toEqual(new Set([false]));
    }
    // Timers of other code come and go.
    expect(timers()).toBeLessThan(before + 10);
    gate.open();
    expect(await future.result()).toBe(7);
  });

  test('calls that wait for one future resolve in the order of the calls', async () => {
    const js = open(1);
    const gate = makeGate();
    const future = await js.submit(waitAt, [gate.file, 7]);
    const order: string[] = [];
    future.whenDone(() => order.push('callback'));
    const waits = Array.from({ length: 20 }, (_, i) =>
      future.wait().then(() => order.push(`wait ${i}`)),
    );
    gate.open();
    await Promise.all(waits);
    expect(order).toEqual([
      'callback',
      ...Array.from({ length: 20 }, (_, i) => `wait ${i}`),
    ]);
  });

  test('wait can kill a job that other calls wait for', async () => {
    const js = open(1);
    const future = await js.submit(waitAt, [makeGate().file]);
    const hanging = [future.wait(), rejection(future.result())];
    expect(await future.wait({ killSignal: 'SIGKILL' })).toBe(true);
    expect((await Promise.all(hanging))[1]).toMatchObject(lost);
  });

  test('the event loop finishes jobs and releases their slots without any call', async () => {
    const js = open(2);
    const called: string[] = [];
    for (const fn of [identity, fail, die] as const) {
      const future = await js.submit(fn as typeof identity, ['x']);
      future.whenDone(() => called.push(fn.name));
    }
    // Neither `running` nor `freeSlots` finishes a job.
    await until('all jobs to finish', () => js.running === 0);
    await until('the callbacks', () => called.length === 3);
    expect(called.sort()).toEqual(['die', 'fail', 'identity']);
    expect(freeSlots(js)).toBe(2);
  });

  const run = async (
    name: string,
    { flags = [] as string[], stderr = '' } = {},
  ): Promise<unknown> => {
    const node = [...process.execArgv, ...flags, programs, name, context];
    const ended = await runNode(node);
    expect(ended).toMatchObject({ code: 0, stderr });
    return JSON.parse(ended.stdout);
  };

  test('a wait that has ended keeps no timer alive', async () => {
    expect(await run('waitWithLongTimeouts')).toEqual({
      waited: [true, false],
    });
  });

  test('waits that time out retain no memory', async () => {
    const { bytesPerWait } = (await run('waitAndTimeOut', {
      flags: ['--expose-gc'],
    })) as { bytesPerWait: number };
    expect(bytesPerWait).toBeLessThan(50);
  });
}
