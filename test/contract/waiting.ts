import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { serialize } from 'node:v8';
import type { Context } from '../../dist/context.js';
import { Future, type Jobserver } from '../../dist/index.js';
import { die, fail, returnBytes } from '../fixtures/ending-jobs.js';
import { note } from '../fixtures/executor-jobs.js';
import { pause, waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { runNode } from '../helpers/program.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { badTimeouts } from '../helpers/timeouts.js';
import { timeoutFactor, until } from '../helpers/until.js';
import { callbackContract } from './callbacks.js';
import { raisingContract } from './raising.js';
import { untilSync } from './until-sync.js';

const blocked = { name: 'Blocked', code: 'ERR_JOBSERVER_BLOCKED' };
const lost = { name: 'LostResult', code: 'ERR_JOBSERVER_LOST_RESULT' };
const typeError = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };

const programs = join(__dirname, '..', 'fixtures', 'waiting-programs.js');

/** Futures: how to wait for a job, and what its end does. */
export function waitingContract(context: Context): void {
  jest.setTimeout(30_000 * timeoutFactor);
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  describe('callbacks', () => callbackContract(context));
  describe('callbacks that throw', () => raisingContract(context));

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
  test('a job that ends in time counts as in time, even when the thread is busy for longer', async () => {
    const js = open(1);
    const gate = makeGate();
    const timeout = 100;
    const first = await js.submit(note, [gate.file, 'first']);
    const calls = [
      first.wait({ timeout }),
      first.result({ timeout }),
      js.submit(identity<number>, [2], { timeout }),
    ] as const;
    untilSync('the job to run', () => existsSync(gate.file));
    // The job and its process end within this time.
    pause(1000 * timeoutFactor);
    const [isDone, value, second] = await Promise.all(calls);
    expect([isDone, value, await second.result()]).toEqual([true, 'first', 2]);
  });

  test('waitSync and resultSync work without the event loop', () => {
    const js = open(1);
    const future = js.submitSync(returnBytes, [200_000]);
    expect(future.waitSync()).toBe(true);
    expect(future.resultSync().length).toBe(200_000);
    expect(js.submitSync(identity, [1]).resultSync()).toBe(1);
  });

  test('done never waits, and detects the end of a job without the event loop', () => {
    const js = open(1);
    const future = js.submitSync(returnBytes, [3 << 20]);
    untilSync('the job to end', () => future.done());
    expect(future.resultSync({ timeout: 0 }).length).toBe(3 << 20);
  });

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

  test('a Sync call on a future also resolves its pending waits', async () => {
    const js = open(1);
    const gate = makeGate();
    const value = { of: 'both' };
    const future = await js.submit(waitAt, [gate.file, value]);
    const result = future.result();
    const wait = future.wait();
    gate.open();
    const sync = future.resultSync();
    expect(sync).toEqual(value);
    expect(await result).toBe(sync);
    expect(await wait).toBe(true);
  });

  test('a Sync call on one future also finishes other jobs', async () => {
    const js = open(2);
    const gate = makeGate();
    const other = js.submitSync(identity, [1]);
    const future = js.submitSync(waitAt, [gate.file, 2]);
    let isCalled = false;
    other.whenDone(() => {
      isCalled = true;
      gate.open();
    });
    expect(future.resultSync()).toBe(2);
    expect(isCalled).toBe(true);
  });

  test('Sync calls work in promise callbacks and in timers', async () => {
    const js = open(1);
    const compute = (n: number): number =>
      js.submitSync(identity<number>, [n]).resultSync();
    const inJob = Promise.resolve(1).then(compute);
    expect(await inJob).toBe(1);
    const inTimer = new Promise((resolve) => {
      setTimeout(() => resolve(compute(2)), 0);
    });
    expect(await inTimer).toBe(2);
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

  test('a future cannot be constructed or cloned, and has no `then`', async () => {
    const js = open(1);
    const future = await js.submit(identity, [1]);
    expect(future).toBeInstanceOf(Future);
    expect('then' in future).toBe(false);
    const Constructor = Future as unknown as new (
      ...args: unknown[]
    ) => unknown;
    expect(thrown(() => new Constructor())).toMatchObject({
      name: 'TypeError',
      message: 'Illegal constructor',
    });
    expect(
      thrown(() => new Constructor(Symbol('constructor'), js)),
    ).toMatchObject({ name: 'TypeError' });
    expect(thrown(() => structuredClone(future))).toMatchObject({
      name: 'DataCloneError',
    });
    expect(thrown(() => serialize({ deep: [future] }))).toBeDefined();
    await future.wait();
    expect(thrown(() => structuredClone(future))).toBeDefined();
  });

  test('inspect shows the state, callbacks and pid of a future, and changes nothing', async () => {
    const js = open(1);
    const gate = makeGate();
    const future = await js.submit(waitAt, [gate.file]);
    const { pid } = future;
    expect(pid).toBeGreaterThan(0);
    expect(inspect(future)).toBe(`Future(running, callbacks=0, pid=${pid})`);
    future.whenDone(() => undefined);
    future.whenDone(() => undefined);
    expect(inspect(future)).toBe(`Future(running, callbacks=2, pid=${pid})`);
    gate.open();
    await future.wait();
    expect(inspect([future])).toBe('[ Future(done, callbacks=0, pid=null) ]');
    expect(future.pid).toBe(undefined);
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

  test('a failed job whose result is not requested causes no unhandledRejection', async () => {
    expect(await run('failUnobserved')).toEqual({ called: ['error', 'death'] });
  });

  test('Sync calls work in exit listeners', async () => {
    expect(await run('waitInExitListener')).toEqual({ before: 1, after: 2 });
  });

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
