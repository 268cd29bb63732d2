import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import { type Jobserver, LostResult } from '../../dist/index.js';
import * as jobs from '../fixtures/death-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { hasEventLoop, testIf } from '../helpers/context.js';
import { openJobserver } from '../helpers/jobserver.js';
import { until } from '../helpers/until.js';

/** A job that dies is lost, alone, and its caller learns how. */
export function deathContract(context: Context): void {
  const open = (slots = 2): Jobserver => openJobserver({ context, slots });
  const lossOf = async (promise: Promise<unknown>): Promise<LostResult> => {
    const error: unknown = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(LostResult);
    return error as LostResult;
  };

  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'jobserver-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });
  const started = (): string => join(folder, 'started');
  const untilStarted = (): Promise<void> =>
    until('the job to start', () => existsSync(started()));

  // The process.exit of Jest's sandbox leads a fork past ours.
  testIf(context !== 'fork')(
    'process.exit tells its code and where it was called',
    async () => {
      const future = await open().submit(jobs.exitWith, [3]);
      const { pid } = future;
      const lost = await lossOf(future.result());
      expect(lost).toMatchObject({ pid, exitCode: 3, signal: null });
      const cause = lost.cause as Error;
      expect(cause.message).toMatch(/process\.exit\(3\)/);
      expect(cause.stack).toContain('exitWith');
      expect(future.pid).toBeUndefined();
    },
  );

  test('a job that is done hears of its own exit', async () => {
    const file = join(folder, 'exited');
    await open().run(jobs.writeAtExit, file);
    expect(existsSync(file)).toBe(true);
  });

  // Of the larger one, Node and the kernel keep the low bits.
  test.each([
    [4, 4],
    [2 ** 40 + 7, 7],
  ])('an exit past Node has no cause: %d', async (code, exitCode) => {
    const lost = await lossOf(open().run(jobs.exitByKernel, code));
    expect(lost).toMatchObject({ exitCode, signal: null });
    expect(lost.cause).toBeUndefined();
  });

  test.each([
    'SIGKILL',
    'SIGTERM',
    'SIGINT',
    'SIGHUP',
    'SIGUSR1',
    'SIGUSR2',
    'SIGSEGV',
  ] as const)('%s is told as the signal', async (signal) => {
    const lost = await lossOf(open().run(jobs.killSelf, signal));
    expect(lost).toMatchObject({ exitCode: null, signal });
  });

  testIf(hasEventLoop(context))(
    'an uncaught exception is the cause',
    async () => {
      const lost = await lossOf(open().run(jobs.throwLater));
      expect(lost.exitCode).toBe(1);
      expect(lost.cause).toBeInstanceOf(RangeError);
      expect(lost.cause).toMatchObject({ message: 'from a timer' });
    },
  );

  testIf(hasEventLoop(context))(
    'an unhandled rejection is the cause',
    async () => {
      const lost = await lossOf(open().run(jobs.rejectUnheard));
      expect(lost.cause).toMatchObject({ message: 'unheard' });
    },
  );

  testIf(hasEventLoop(context))(
    'a promise that never settles is lost, not awaited',
    async () => {
      const lost = await lossOf(open().run(jobs.neverSettle));
      expect((lost.cause as Error).message).toMatch(/never settled/);
    },
  );

  test('no other job suffers', async () => {
    const js = open(4);
    const outcomes = await Promise.allSettled([
      js.run(jobs.exitWith, 0),
      js.run(identity, 'a'),
      js.run(jobs.killSelf, 'SIGKILL'),
      js.run(identity, 'b'),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual([
      'rejected',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
  });

  test('a job that closes all its fds is lost, and waits end in time', async () => {
    const js = open();
    const future = await js.submit(jobs.closeEverything, [started()]);
    await untilStarted();
    expect(await future.wait({ timeout: 50 })).toBe(false);
    expect(future.done()).toBe(false);
    expect(future.waitSync({ timeout: 50 })).toBe(false);
    expect(future.kill('SIGKILL')).toBe(true);
    await lossOf(future.result());
  });

  test('a job stopped within its result holds up no wait', async () => {
    const js = open();
    const future = await js.submit(jobs.hugeResult);
    future.kill('SIGSTOP');
    expect(await future.wait({ timeout: 50 })).toBe(false);
    expect(future.waitSync({ timeout: 50 })).toBe(false);
    future.kill('SIGCONT');
    expect((await future.result()).length).toBe(64 << 20);
  });

  test('a result that is cut off is lost', async () => {
    const js = open();
    const future = await js.submit(jobs.hugeResult);
    // Some of it has arrived when the first turns are over.
    for (let i = 0; i < 3; i++) await future.wait({ timeout: 5 });
    future.kill('SIGKILL');
    const outcome = await future.result().catch((error: unknown) => error);
    const isLost = outcome instanceof LostResult;
    expect(isLost || Buffer.isBuffer(outcome)).toBe(true);
  });

  test('wait sends killSignal and sees the end', async () => {
    const js = open();
    const future = await js.submit(jobs.spin, [started()]);
    await untilStarted();
    expect(await future.wait({ killSignal: 'SIGTERM' })).toBe(true);
    expect(future.kill('SIGTERM')).toBe(false);
    expect(await future.wait({ killSignal: 'SIGKILL' })).toBe(true);
    await lossOf(future.result());
  });

  test('a pending wait does not keep a signal back', async () => {
    const js = open();
    const future = await js.submit(jobs.spin);
    const pending = future.wait();
    await future.wait({ timeout: 0, killSignal: 15 });
    expect(await pending).toBe(true);
    expect(await lossOf(future.result())).toMatchObject({ signal: 'SIGTERM' });
  });

  test.each(['SIGNONE', 65, -1, 1.5, {}])(
    'the signal %p is refused, and the job goes on',
    async (signal) => {
      const js = open();
      const future = await js.submit(jobs.spin);
      expect(() => future.kill(signal as never)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^ERR_/) }),
      );
      await expect(
        future.wait({ killSignal: signal as never }),
      ).rejects.toThrow();
      expect(future.done()).toBe(false);
      expect(future.kill(0)).toBe(true);
      future.kill('SIGKILL');
      await lossOf(future.result());
    },
  );

  test('an AbortSignal ends a running job', async () => {
    const js = open();
    const controller = new AbortController();
    const { signal } = controller;
    const future = await js.submit(jobs.spin, [started()], { signal });
    await untilStarted();
    controller.abort(new Error('enough'));
    await expect(future.result()).rejects.toMatchObject({
      name: 'AbortError',
      code: 'ABORT_ERR',
      cause: { message: 'enough' },
    });
  });

  test('an AbortSignal ends a job that ignores SIGTERM', async () => {
    const js = open();
    const controller = new AbortController();
    const { signal } = controller;
    const future = await js.submit(jobs.ignoreTerm, [started()], { signal });
    await untilStarted();
    controller.abort();
    await expect(future.result()).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('what a job leaves behind does not keep it alive', async () => {
    const js = open();
    expect(await js.run(jobs.leaveThingsBehind)).toBe('left');
    const pid = await js.run(jobs.leaveProcessBehind);
    process.kill(pid, 'SIGKILL');
  });
}
