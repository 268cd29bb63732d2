import { join } from 'node:path';
import { inspect } from 'node:util';
import { serialize } from 'node:v8';
import type { Context } from '../../dist/context.js';
import { Future, type Jobserver } from '../../dist/index.js';
import { returnBytes } from '../fixtures/ending-jobs.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { useGates } from '../helpers/gate.js';
import { openJobserver } from '../helpers/jobserver.js';
import { runNode } from '../helpers/program.js';
import { thrown } from '../helpers/thrown.js';
import { untilSync } from './until-sync.js';

const programs = join(__dirname, '..', 'fixtures', 'waiting-programs.js');

/** Futures: calls without the event loop, inspection, and unread errors. */
export function futureContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

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
}
