import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import { type Jobserver, LostResult } from '../../dist/index.js';
import * as jobs from '../fixtures/death-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { announceText } from '../fixtures/stress-jobs.js';
import { useFolder } from '../helpers/folder.js';
import { hasEventLoop, testIf } from '../helpers/context.js';
import { ofOwnProcess, openJobserver } from '../helpers/jobserver.js';
import { stateOf } from '../helpers/processes.js';
import { until } from '../helpers/until.js';
import { untilSync } from './until-sync.js';

/** A job that dies rejects its own result only, with details of its end. */
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

  const folder = useFolder();
  const started = (): string => join(folder(), 'started');
  const untilStarted = (): Promise<void> =>
    until('the job to start', () => existsSync(started()));

  // A fork inherits Jest's own process.exit, which bypasses the library.
  testIf(context !== 'fork')(
    'process.exit rejects with LostResult, which has the exit code and the call site',
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

  ofOwnProcess('the exit listeners of a finished job run', async () => {
    const file = join(folder(), 'exited');
    await open().run(jobs.writeAtExit, file);
    expect(existsSync(file)).toBe(true);
  });

  ofOwnProcess(
    'a wrapper of process.emit sees the exit of a finished job',
    async () => {
      const file = join(folder(), 'exited');
      await open().run(jobs.wrapEmit, file);
      expect(existsSync(file)).toBe(true);
    },
  );

  test('a job finds no listeners of the library', async () => {
    expect(await open().run(jobs.eventsWithListeners)).toEqual([]);
  });

  test('a job may emit the events of its end itself', async () => {
    expect(await open().run(jobs.emitEndings)).toBe('returned');
  });

  test.each(['exit', 'reallyExit', 'abort', 'kill', 'emit'] as const)(
    'a job that has replaced process.%s returns its result and ends',
    async (name) => {
      expect(await open().run(jobs.returnWithout, name)).toBe('returned');
    },
  );

  // Only the low bits of the larger exit code reach the parent.
  test.each([
    [4, 4],
    [2 ** 40 + 7, 7],
  ])(
    'an exit with code %d that bypasses Node has no cause',
    async (code, exitCode) => {
      const lost = await lossOf(open().run(jobs.exitByKernel, code));
      expect(lost).toMatchObject({ exitCode, signal: null });
      expect(lost.cause).toBeUndefined();
    },
  );

  test.each([
    'SIGKILL',
    'SIGTERM',
    'SIGINT',
    'SIGHUP',
    'SIGUSR1',
    'SIGUSR2',
    'SIGSEGV',
  ] as const)(
    'a worker killed by %s rejects with LostResult, which has the signal',
    async (signal) => {
      const lost = await lossOf(open().run(jobs.killSelf, signal));
      expect(lost).toMatchObject({ exitCode: null, signal });
    },
  );

  testIf(hasEventLoop(context))(
    'an uncaught exception is the cause of LostResult',
    async () => {
      const lost = await lossOf(open().run(jobs.throwLater));
      expect(lost.exitCode).toBe(1);
      expect(lost.cause).toBeInstanceOf(RangeError);
      expect(lost.cause).toMatchObject({ message: 'from a timer' });
    },
  );

  testIf(hasEventLoop(context))(
    'an uncaught exception is the cause in a job that has removed all listeners',
    async () => {
      const lost = await lossOf(open().run(jobs.throwWithoutListeners));
      expect(lost).toMatchObject({ exitCode: 1, signal: null });
      expect(lost.cause).toMatchObject({ message: 'from a timer' });
    },
  );

  testIf(hasEventLoop(context))(
    'an uncaught exception is the cause in a job that has replaced functions of process',
    async () => {
      const names = ['exit', 'reallyExit', 'abort', 'kill', 'emit'] as const;
      const lost = await lossOf(open().run(jobs.throwWithout, ...names));
      expect(lost).toMatchObject({ exitCode: 1, signal: null });
      expect(lost.cause).toMatchObject({ message: 'from a timer' });
    },
  );

  testIf(hasEventLoop(context))(
    'an uncaught exception that cannot be printed is the cause of LostResult',
    async () => {
      const lost = await lossOf(open().run(jobs.throwUnprintable));
      expect(lost).toMatchObject({ exitCode: 1, signal: null });
      expect(lost.cause).toMatchObject({ message: 'unprintable' });
    },
  );

  testIf(hasEventLoop(context))(
    'a job handles an uncaught exception in its only listener, or captures it',
    async () => {
      const js = open();
      expect(await js.run(jobs.handleAlone)).toBe('from a timer');
      expect(await js.run(jobs.captureUncaught)).toBe('from a timer');
    },
  );

  testIf(hasEventLoop(context))(
    'an exception is the cause when a listener to it exits',
    async () => {
      const lost = await lossOf(open().run(jobs.exitInListener, 5));
      expect(lost).toMatchObject({ exitCode: 5, signal: null });
      expect(lost.cause).toMatchObject({ message: 'from a timer' });
    },
  );

  testIf(hasEventLoop(context))(
    'what a listener to an uncaught exception throws is the cause of LostResult',
    async () => {
      const lost = await lossOf(open().run(jobs.throwInListener));
      expect(lost).toMatchObject({ exitCode: 7, signal: null });
      expect(lost.cause).toMatchObject({ message: 'from a listener' });
    },
  );

  testIf(hasEventLoop(context))(
    'an unhandled rejection is the cause of LostResult',
    async () => {
      const lost = await lossOf(open().run(jobs.rejectUnhandled));
      expect(lost.cause).toMatchObject({ message: 'unhandled' });
    },
  );

  testIf(hasEventLoop(context))(
    'a job whose promise never settles rejects with LostResult',
    async () => {
      const lost = await lossOf(open().run(jobs.neverSettle));
      expect((lost.cause as Error).message).toMatch(/never settled/);
    },
  );

  test('a job that dies does not affect other jobs', async () => {
    const js = open(4);
    const outcomes = await Promise.allSettled([
      js.run(jobs.exitWith, 0),
      js.run(identity, 'a'),
      js.run(jobs.killSelf, 'SIGKILL'),
      js.run(identity, 'b'),
    ]);
    expect(outcomes).toMatchObject([
      { reason: expect.any(LostResult) },
      { value: 'a' },
      { reason: { signal: 'SIGKILL' } },
      { value: 'b' },
    ]);
  });

  test('waits time out in time while a job has closed its pipes, and killing it rejects with LostResult', async () => {
    const js = open();
    const future = await js.submit(jobs.closePipesAndSockets, [started()]);
    await untilStarted();
    expect(await future.wait({ timeout: 50 })).toBe(false);
    expect(future.done()).toBe(false);
    expect(future.waitSync({ timeout: 50 })).toBe(false);
    expect(future.kill('SIGKILL')).toBe(true);
    await lossOf(future.result());
  });

  test('waits time out in time while a job is stopped', async () => {
    const js = open();
    const future = await js.submit(jobs.hugeResult);
    future.kill('SIGSTOP');
    expect(await future.wait({ timeout: 50 })).toBe(false);
    expect(future.waitSync({ timeout: 50 })).toBe(false);
    future.kill('SIGCONT');
    expect((await future.result()).length).toBe(64 << 20);
  });

  ofOwnProcess(
    'a job killed while it sends its result rejects with LostResult',
    async () => {
      const js = open();
      const future = js.submitSync(announceText, [started(), 64 << 20]);
      const pid = future.pid!;
      untilSync('the job to return', () => existsSync(started()));
      // The result is larger than the socket holds, so the job sleeps in write.
      untilSync('the socket to be full', () => stateOf(pid) === 'S');
      process.kill(pid, 'SIGSTOP');
      untilSync('the job to stop', () => stateOf(pid) === 'T');
      // Reads the part of the result that is in the socket.
      expect(future.waitSync({ timeout: 20 })).toBe(false);
      expect(future.kill('SIGKILL')).toBe(true);
      expect(await lossOf(future.result())).toMatchObject({
        signal: 'SIGKILL',
      });
    },
  );

  test('wait sends killSignal and resolves when the job has ended', async () => {
    const js = open();
    const future = await js.submit(jobs.spin, [started()]);
    await untilStarted();
    expect(await future.wait({ killSignal: 'SIGTERM' })).toBe(true);
    expect(future.kill('SIGTERM')).toBe(false);
    expect(await future.wait({ killSignal: 'SIGKILL' })).toBe(true);
    await lossOf(future.result());
  });

  test('wait sends killSignal even when another wait is pending', async () => {
    const js = open();
    const future = await js.submit(jobs.spin);
    const pending = future.wait();
    await future.wait({ timeout: 0, killSignal: 15 });
    expect(await pending).toBe(true);
    expect(await lossOf(future.result())).toMatchObject({ signal: 'SIGTERM' });
  });

  test.each(['SIGNONE', 65, -1, 1.5, {}])(
    'the invalid signal %p throws, and the job keeps running',
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

  test('timers, servers and child processes that a job leaves open do not delay its end', async () => {
    const js = open();
    expect(await js.run(jobs.leaveHandlesOpen)).toBe('left');
    const pid = await js.run(jobs.leaveChildRunning);
    process.kill(pid, 'SIGKILL');
  });
}
