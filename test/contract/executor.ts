import type { Context } from '../../dist/context.js';
import { JobserverExecutor, LostResult } from '../../dist/index.js';
import * as ends from '../fixtures/ending-jobs.js';
import * as jobs from '../fixtures/executor-jobs.js';
import { spanAt, waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { isRemote, testIf } from '../helpers/context.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';
import {
  isOfJobserver,
  linesOf,
  statesOf,
  useExecutors,
} from './executor-setup.js';

/** JobserverExecutor: a queue of calls in front of a Jobserver. */
export function executorContract(context: Context): void {
  const { makeGate, newLog, queue } = useExecutors(context);

  test('submit returns a promise for the value', async () => {
    const executor = queue();
    const work = executor.submit(ends.sum, 1, 2, 3);
    expect(work).toBeInstanceOf(Promise);
    expect(await work).toBe(6);
    expect(await executor.submit(identity<undefined>, undefined)).toBe(
      undefined,
    );
    expect(await work.finally(() => undefined)).toBe(6);
  });

  test('an error arrives with its class, its message and its stack in the job', async () => {
    const error = (await rejection(
      queue().submit(ends.fail, 'on purpose'),
    )) as Error;
    expect(error).toBeInstanceOf(Error);
    expect(error.message).toBe('on purpose');
    expect(error.stack).toContain('ending-jobs');
  });

  test('an error that a job returns is a value', async () => {
    const value = await queue().submit(identity<Error>, new RangeError('no'));
    expect(value).toBeInstanceOf(RangeError);
  });

  test('a job that dies rejects its own promise only', async () => {
    const executor = queue();
    const work = [
      executor.submit(identity<number>, 1),
      executor.submit(ends.die),
      executor.submit(identity<number>, 2),
    ];
    const [first, second, third] = await Promise.allSettled(work);
    expect(first).toMatchObject({ value: 1 });
    expect(second).toMatchObject({ reason: expect.any(LostResult) });
    expect(third).toMatchObject({ value: 2 });
    expect(await executor.submit(identity<number>, 3)).toBe(3);
  });

  testIf(isRemote(context))(
    'an invalid function, argument or option rejects, and the queue continues',
    async () => {
      const executor = queue();
      const work = [
        executor.submit(() => 1),
        executor.submit(identity<unknown>, () => 1),
        executor.submit(7 as never),
        executor.submitWith({ priority: 0.5 }, identity<number>, 1),
        executor.submitWith({ priority: '1' as never }, identity<number>, 1),
        executor.submitWith({ signal: {} as never }, identity<number>, 1),
        executor.submitWith(7 as never, identity<number>, 1),
      ];
      const settled = await Promise.allSettled(work);
      const codes = settled.map((each) =>
        each.status === 'rejected'
          ? (each.reason as { code: unknown }).code
          : each.value,
      );
      expect(codes).toEqual([
        'ERR_JOBSERVER_FUNCTION',
        'ERR_JOBSERVER_NOT_SERIALIZABLE',
        'ERR_INVALID_ARG_TYPE',
        'ERR_OUT_OF_RANGE',
        'ERR_INVALID_ARG_TYPE',
        'ERR_INVALID_ARG_TYPE',
        'ERR_INVALID_ARG_TYPE',
      ]);
      expect(executor.pending).toBe(0);
      expect(await executor.submit(identity<number>, 3)).toBe(3);
    },
  );

  test('an error whose class has a special constructor rejects its own promise only', async () => {
    const executor = queue();
    const error = await rejection(executor.submit(jobs.throwCustomError));
    expect(error).toBeInstanceOf(Error);
    expect(await executor.submit(identity<number>, 3)).toBe(3);
  });

  test('an argument and a result of 10 MiB arrive intact', async () => {
    const bytes = new Uint8Array(10 << 20).fill(7);
    const back = await queue().submit(identity<Uint8Array>, bytes);
    expect(Buffer.from(back).equals(bytes)).toBe(true);
  });

  test('the state of a call is pending, then running, then finished', async () => {
    const executor = queue(1);
    const gate = makeGate();
    const work = [1, 2].map((n) => executor.submit(waitAt, gate.file, n));
    expect(statesOf(work)).toEqual(['pending', 'pending']);
    await until('the first to run', () => work[0]!.state === 'running');
    expect([executor.pending, executor.running]).toEqual([1, 1]);
    gate.open();
    expect(await Promise.all(work)).toEqual([1, 2]);
    expect(statesOf(work)).toEqual(['finished', 'finished']);
    expect(executor.completed).toBe(2);
    expect([executor.pending, executor.running]).toEqual([0, 0]);
  });

  test('cancel removes a pending call and has no effect on a running one', async () => {
    const executor = queue(1);
    const gate = makeGate();
    const log = newLog();
    const first = executor.submit(jobs.noteAndWait, log, 'first', gate.file);
    const second = executor.submit(jobs.note, log, 'second');
    const third = executor.submit(jobs.note, log, 'third');
    await until('the first to run', () => first.state === 'running');
    expect([first.cancel(), second.cancel()]).toEqual([false, true]);
    expect(statesOf([first, second, third])).toEqual([
      'running',
      'cancelled',
      'pending',
    ]);
    expect(await rejection(second)).toMatchObject({
      name: 'AbortError',
      code: 'ABORT_ERR',
    });
    gate.open();
    expect(await third).toBe('third');
    expect(linesOf(log)).toEqual(['first', 'third']);
  });

  test('200 calls that are cancelled right after submit never run', async () => {
    const executor = queue();
    const log = newLog();
    for (let i = 0; i < 200; i++) {
      expect(executor.submit(jobs.note, log, 'never').cancel()).toBe(true);
    }
    expect(await executor.submit(identity<number>, 1)).toBe(1);
    expect(linesOf(log)).toEqual([]);
    expect(executor.completed).toBe(1);
  });

  test('calls start in the order of their submission', async () => {
    const executor = queue(1);
    const log = newLog();
    const names = Array.from({ length: 12 }, (_, i) => `${i}`);
    await Promise.all(names.map((it) => executor.submit(jobs.note, log, it)));
    expect(linesOf(log)).toEqual(names);
  });

  test('a call of higher priority starts first, even before one that waits for a slot', async () => {
    const executor = queue(1);
    const gate = makeGate();
    const log = newLog();
    const holder = executor.submit(waitAt, gate.file);
    await until('the call to run', () => holder.state === 'running');
    const add = (priority: number, name: string): Promise<string> =>
      executor.submitWith({ priority }, jobs.note, log, name);
    const work = [
      add(0, 'c'),
      add(-5, 'e'),
      add(9, 'a'),
      add(0, 'd'),
      add(1, 'b'),
    ];
    await new Promise((wake) => setImmediate(wake));
    gate.open();
    await Promise.all(work);
    expect(linesOf(log)).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  describe('AbortSignal', () => {
    test('an abort cancels pending calls and ends running ones', async () => {
      const executor = queue(1);
      const log = newLog();
      const controller = new AbortController();
      const { signal } = controller;
      const running = executor.submitWith({ signal }, waitAt, '/never');
      const pending = executor.submitWith({ signal }, jobs.note, log, 'never');
      const other = executor.submit(identity<number>, 1);
      await until('the first to run', () => running.state === 'running');
      const reason = new Error('enough');
      controller.abort(reason);
      expect(pending.state).toBe('cancelled');
      for (const work of [running, pending]) {
        expect(await rejection(work)).toMatchObject({
          name: 'AbortError',
          cause: reason,
        });
      }
      expect(running.state).toBe('finished');
      expect(await other).toBe(1);
      expect(linesOf(log)).toEqual([]);
    });

    testIf(isRemote(context))(
      'an abort by a getter among the arguments cancels the call',
      async () => {
        const controller = new AbortController();
        const { signal } = controller;
        const argument = {
          get aborts() {
            controller.abort();
            return true;
          },
        };
        const work = queue().submitWith({ signal }, identity, argument);
        expect(work.state).toBe('cancelled');
        expect(await rejection(work)).toMatchObject({ name: 'AbortError' });
      },
    );

    test('a signal that is already aborted rejects the call at once', async () => {
      const signal = AbortSignal.abort();
      const work = queue().submitWith({ signal }, identity<number>, 1);
      expect(await rejection(work)).toMatchObject({ name: 'AbortError' });
    });
  });

  test('an executor cannot be an argument of a job', async () => {
    const executor = queue();
    const error = await rejection(
      executor.submit(identity<unknown>, { within: executor }),
    );
    expect(error).toMatchObject({ code: 'ERR_JOBSERVER_NOT_SERIALIZABLE' });
    expect((error as Error).message).toContain('within');
    expect(() => structuredClone(executor)).toThrow();
  });

  const others = isOfJobserver() ? [7, {}, 'spawn'] : [];
  if (others.length > 0)
    test.each(others)(
      'the constructor throws for %p instead of a Jobserver',
      (jobserver) => {
        expect(
          thrown(() => new JobserverExecutor(jobserver as never)),
        ).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
      },
    );

  test('calls of one executor never overlap on one slot', async () => {
    const executor = queue(1);
    const gate = makeGate();
    gate.open();
    const spans = await Promise.all(
      [1, 2, 3].map(() => executor.submit(spanAt, makeGate().file, gate.file)),
    );
    for (let i = 1; i < spans.length; i++) {
      expect(spans[i]![0]).toBeGreaterThanOrEqual(spans[i - 1]![1]);
    }
  });
}
