import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../../dist/context.js';
import {
  type Future,
  type Jobserver,
  LostResult,
  jobSignal,
} from '../../dist/index.js';
import { identity } from '../fixtures/jobs.js';
import * as jobs from '../fixtures/signal-jobs.js';
import { hasEventLoop, testIf } from '../helpers/context.js';
import { useFolder } from '../helpers/folder.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { type Orphan, isOver, orphanOf } from '../helpers/orphan.js';
import { stateOf } from '../helpers/processes.js';
import { rejection } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

const onLinux = process.platform === 'linux';
const byTerm = 'AbortError: The job was asked to end by SIGTERM';

/** A job that listens can clean up; it ends in time all the same. */
export function jobSignalContract(context: Context): void {
  const open = (slots = 1): Jobserver => openJobserver({ context, slots });
  const folder = useFolder();
  const started = (): string => join(folder(), 'started');
  const gate = (): string => join(folder(), 'gate');
  const untilStarted = (): Promise<void> =>
    until('the job to start', () => existsSync(started()));
  const reason = (): string => readFileSync(`${started()}.reason`, 'utf8');
  const untilFree = async (js: Jobserver): Promise<void> => {
    await until('the slot to be free', () => freeSlots(js) === 1);
    expect(await js.run(identity, 1)).toBe(1);
  };

  type Way = [string, (job: typeof jobs.poll) => typeof jobs.poll];

  const ways: Way[] = [['looks at it', () => jobs.poll]];
  if (hasEventLoop(context)) {
    ways.push(['waits for its event', () => jobs.listen as never]);
  }

  describe.each(ways)('a job that %s', (_, way) => {
    const submit = (js: Jobserver, signal?: AbortSignal): Future<string> =>
      js.submitSync(way(jobs.poll), [started()], { signal });

    test('learns that it has run for too long', async () => {
      const js = open();
      // The job has to listen by then.
      let runTimeout = 500;
      for (; !existsSync(started()); runTimeout *= 2) {
        const future = submit(js.with({ runTimeout }));
        const error = await rejection(future.result());
        expect(error).toMatchObject({ name: 'TimeoutError' });
        await untilFree(js);
      }
      expect(reason()).toBe(
        onLinux
          ? `TimeoutError: The job has run for longer than its runTimeout of ${runTimeout / 2} ms`
          : byTerm,
      );
    });

    test('learns of an abort', async () => {
      const js = open();
      const controller = new AbortController();
      const future = submit(js, controller.signal);
      await untilStarted();
      controller.abort();
      const error = await rejection(future.result());
      expect(error).toMatchObject({ name: 'AbortError' });
      await until('the reason', () => existsSync(`${started()}.reason`));
      expect(reason()).toBe(byTerm);
      await untilFree(js);
    });

    test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
      'survives %s of kill, and has a result',
      async (signal) => {
        const js = open();
        const future = submit(js);
        await untilStarted();
        expect(future.kill(signal)).toBe(true);
        expect(await future.result()).toBe(
          `AbortError: The job was asked to end by ${signal}`,
        );
        await untilFree(js);
      },
    );

    test('can clean up when its Jobserver is closed with a signal', async () => {
      const js = open();
      const future = submit(js);
      await untilStarted();
      await js.close({ killSignal: 'SIGTERM' });
      expect(await future.result()).toBe(byTerm);
    });
  });

  test('a job that listens and goes on is killed after killGrace', async () => {
    const js = open();
    const limited = js.with({ runTimeout: 500, killGrace: 100 });
    const future = limited.submitSync(jobs.stayAt, [started(), gate()]);
    const { pid } = future;
    const error = await rejection(future.result());
    expect(error).toMatchObject({ name: 'TimeoutError' });
    await untilFree(js);
    expect(stateOf(pid!)).toBe('X');
  });

  test('a job that does not listen is ended by SIGTERM', async () => {
    const js = open().with({ killGrace: Infinity });
    const future = js.submitSync(jobs.stay, [started(), gate()]);
    await untilStarted();
    future.kill();
    const error = await rejection(future.result());
    expect(error).toMatchObject({ signal: 'SIGTERM' });
  });

  test('a job can end its own jobs when it is asked to end', async () => {
    const js = open(2);
    const future = js.submitSync(jobs.abortOwn, [started()]);
    await untilStarted();
    future.kill('SIGTERM');
    expect(await future.result()).toBe('AbortError');
  });

  test('outside of a job, the signal is never aborted', () => {
    expect(jobSignal().aborted).toBe(false);
    expect(jobSignal()).toBe(jobSignal());
  });

  test('each job has a signal of its own', async () => {
    const js = open();
    for (let i = 0; i < 3; i++) {
      expect(await js.run(jobs.hasSignalOfItsOwn)).toBe(true);
    }
    // The job before it listened; this one does not.
    const future = js.submitSync(jobs.stay, [started(), gate()]);
    await untilStarted();
    future.kill('SIGTERM');
    expect(await rejection(future.result())).toBeInstanceOf(LostResult);
    expect(await js.run(jobs.isAborted)).toBe(false);
  });

  testIf(hasEventLoop(context))(
    'the reason of the abort can be the error of the job',
    async () => {
      const js = open();
      const future = js.submitSync(jobs.passOn, [started()]);
      await untilStarted();
      future.kill('SIGTERM');
      const error = await rejection(future.result());
      expect(error).toMatchObject({ name: 'AbortError' });
      await untilFree(js);
    },
  );

  testIf(hasEventLoop(context))(
    'a listener to SIGTERM is called as well',
    async () => {
      const js = open();
      const future = js.submitSync(jobs.handle, [started(), false]);
      await untilStarted();
      future.kill('SIGTERM');
      expect(await future.result()).toBe('handled, true');
    },
  );

  /** Starts the job; the returned function kills its submitter. */
  const startOrphan = async (
    js: Jobserver,
    name: Parameters<typeof jobs.submitOrphan>[0],
    killGrace: number,
  ): Promise<Orphan> => {
    const args = [name, started(), gate(), killGrace] as const;
    const submitter = await js.submit(jobs.submitOrphan, [...args]);
    await untilStarted();
    return orphanOf(submitter, started());
  };

  const expectEnd = async (js: Jobserver, pid: number): Promise<void> => {
    await until('the job to be over', () => isOver(context, pid));
    await until('its slot', () => freeSlots(js) === 2);
    // It is not given back again.
    await sleep(100);
    expect(freeSlots(js)).toBe(2);
  };

  testIf(onLinux)('an orphan that listens can clean up', async () => {
    const js = open(2);
    const { pid, killSubmitter } = await startOrphan(js, 'poll', 60_000);
    await killSubmitter();
    await until('the reason', () => existsSync(`${started()}.reason`));
    expect(reason()).toBe(byTerm);
    await expectEnd(js, pid);
  });

  const ignoring: Parameters<typeof jobs.submitOrphan>[0][] = ['stayAt'];
  // Jest gives a fork a copy of `process`, which catches no signals.
  if (hasEventLoop(context)) ignoring.push('handleForever');

  if (!onLinux) return;

  describe.each(ignoring)('an orphan that goes on (%s)', (name) => {
    test('is ended after killGrace, and gives its slot back once', async () => {
      const js = open(2);
      const { pid, killSubmitter } = await startOrphan(js, name, 1500);
      await killSubmitter();
      expect(freeSlots(js)).toBe(1);
      await expectEnd(js, pid);
    });

    test('runs on without limit if killGrace is Infinity', async () => {
      const js = open(2);
      const { pid, killSubmitter } = await startOrphan(js, name, Infinity);
      await killSubmitter();
      await sleep(300);
      expect(freeSlots(js)).toBe(1);
      writeFileSync(gate(), '');
      await expectEnd(js, pid);
    });
  });

  test('an orphan that lends its slot leaves it taken', async () => {
    const js = open(2);
    const { pid, killSubmitter } = await startOrphan(js, 'lend', 300);
    const own = (): string => `${started()}.own`;
    await until('its own job', () => existsSync(own()));
    const borrower = Number(readFileSync(own(), 'utf8'));
    await killSubmitter();
    await until('the end of the job', () => isOver(context, pid));
    await expectEnd(js, borrower);
  });
}
