import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import diagnosticsChannel from 'node:diagnostics_channel';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { inspect } from 'node:util';
import type { Context } from '../../dist/context.js';
import {
  Blocked,
  type ExecutorFuture,
  type JobRecord,
  type Jobserver,
  JobserverExecutor,
  LostResult,
} from '../../dist/index.js';
import * as ends from '../fixtures/ending-jobs.js';
import * as jobs from '../fixtures/executor-jobs.js';
import { spanAt, waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { hasEventLoop, isRemote, testIf } from '../helpers/context.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { runNode } from '../helpers/program.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

const programs = resolve('dist-test', 'fixtures', 'executor-programs.js');

/** JobserverExecutor: a queue of calls in front of a Jobserver. */
export function executorContract(context: Context): void {
  const makeGate = useGates();
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'executor-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  let logs = 0;
  const newLog = (): string => join(folder, `log-${logs++}`);
  const linesOf = (log: string): string[] =>
    existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];

  const open = (slots = 2): Jobserver => openJobserver({ context, slots });
  const queue = (slots = 2): JobserverExecutor =>
    new JobserverExecutor(open(slots));
  const states = (work: readonly ExecutorFuture<unknown>[]): string[] =>
    work.map(({ state }) => state);

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
    expect(states(work)).toEqual(['pending', 'pending']);
    await until('the first to run', () => work[0]!.state === 'running');
    expect([executor.pending, executor.running]).toEqual([1, 1]);
    gate.open();
    expect(await Promise.all(work)).toEqual([1, 2]);
    expect(states(work)).toEqual(['finished', 'finished']);
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
    expect([first.cancel(), second.cancel(), second.cancel()]).toEqual([
      false,
      true,
      false,
    ]);
    expect(states([first, second, third])).toEqual([
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
    expect(third.cancel()).toBe(false);
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

    test('a signal that is already aborted rejects the call at once', async () => {
      const signal = AbortSignal.abort();
      const work = queue().submitWith({ signal }, identity<number>, 1);
      expect(await rejection(work)).toMatchObject({ name: 'AbortError' });
    });
  });

  describe('shutdown', () => {
    test('runs pending calls and refuses new ones', async () => {
      let work: ExecutorFuture<number>[];
      const js = open(1);
      const executor = new JobserverExecutor(js);
      {
        await using used = executor;
        work = [1, 2, 3, 4, 5].map((n) => used.submit(identity<number>, n));
      }
      expect(states(work)).toEqual(work.map(() => 'finished'));
      expect(await Promise.all(work)).toEqual([1, 2, 3, 4, 5]);
      for (const call of [
        () => executor.submit(identity<number>, 1),
        () => executor.map(identity<number>, [1]),
      ]) {
        expect(thrown(call)).toMatchObject({
          code: 'ERR_JOBSERVER_EXECUTOR_SHUTDOWN',
        });
      }
      // The executor did not create the Jobserver, so it leaves it open.
      expect(await js.run(identity<number>, 6)).toBe(6);
    });

    test('may cancel pending calls, even when it is called a second time', async () => {
      const executor = queue(1);
      const gate = makeGate();
      const running = executor.submit(waitAt, gate.file, 7);
      const pending = Array.from({ length: 50 }, () =>
        executor.submit(identity<number>, 1),
      );
      await until('the first to run', () => running.state === 'running');
      const first = executor.shutdown();
      expect(new Set(states(pending))).toEqual(new Set(['pending']));
      const second = executor.shutdown({ cancelFutures: true });
      expect(new Set(states(pending))).toEqual(new Set(['cancelled']));
      gate.open();
      expect(await running).toBe(7);
      await Promise.all([first, second, executor.shutdown()]);
    });

    test('with wait: false, resolves before running calls have finished', async () => {
      const executor = queue(1);
      const gate = makeGate();
      const work = [1, 2].map((n) => executor.submit(waitAt, gate.file, n));
      await executor.shutdown({ wait: false });
      expect(states(work)).not.toContain('finished');
      gate.open();
      expect(await Promise.all(work)).toEqual([1, 2]);
    });

    test('resolves for an executor without any call', async () => {
      await queue().shutdown();
    });

    test.each([{ wait: 1 }, { cancelFutures: 'yes' }, null])(
      'rejects for the invalid options %p',
      async (options) => {
        const executor = queue();
        expect(
          await rejection(executor.shutdown(options as never)),
        ).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
        expect(await executor.submit(identity<number>, 1)).toBe(1);
      },
    );
  });

  test('closing the Jobserver rejects pending calls and lets the running one finish', async () => {
    const js = open(1);
    const executor = new JobserverExecutor(js);
    const gate = makeGate();
    const running = executor.submit(waitAt, gate.file, 7);
    const pending = [1, 2, 3].map((n) => executor.submit(identity<number>, n));
    await until('the first to run', () => running.state === 'running');
    const closing = js.close();
    for (const work of [...pending, executor.submit(identity<number>, 4)]) {
      expect(await rejection(work)).toMatchObject({
        code: 'ERR_JOBSERVER_CLOSED',
      });
    }
    expect(inspect(executor)).toContain('closed');
    gate.open();
    expect(await running).toBe(7);
    await closing;
    await executor.shutdown();
  });

  test('a job that cannot be started rejects its promise, and the queue continues', async () => {
    const executor = queue(1);
    const home = process.cwd();
    const gone = mkdtempSync(join(folder, 'gone-'));
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

    test('a job submitted directly does not wait for the whole queue', async () => {
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
    });

    test('queued, direct, mapped and nested jobs all finish on one slot', async () => {
      const js = open(1);
      const executor = new JobserverExecutor(js);
      const values = [1, 2, 3, 4];
      const fanOut: (values: number[]) => number[] | Promise<number[]> =
        hasEventLoop(context) ? jobs.fanOut : jobs.fanOutBlocking;
      const collect = async (
        results: AsyncGenerator<number>,
      ): Promise<number[]> => {
        const all = [];
        for await (const each of results) all.push(each);
        return all;
      };
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

    test('100 calls with mixed outcomes on 2 slots each get their own outcome', async () => {
      const executor = queue(2);
      const work = Array.from({ length: 100 }, (_, i) => {
        if (i % 10 === 3) return executor.submit(ends.fail, `${i}`);
        if (i % 10 === 6) return executor.submit(ends.die);
        return executor.submit(identity<number>, i);
      });
      for (let i = 9; i < 100; i += 10) work[i]!.cancel();
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
      expect(executor.completed).toBe(90);
    });
  });

  describe('map', () => {
    const collect = async <T>(results: AsyncIterable<T>): Promise<T[]> => {
      const all = [];
      for await (const each of results) all.push(each);
      return all;
    };
    async function* slowly<T>(items: readonly T[]): AsyncGenerator<T> {
      for (const item of items) {
        await new Promise((wake) => setImmediate(wake));
        yield item;
      }
    }

    test.each([1, 2, 100])(
      'results come in the order of the items with chunkSize %p',
      async (chunkSize) => {
        const executor = queue();
        const items = [1, 2, 3, 4, 5];
        const options = { chunkSize };
        for (const given of [items, new Set(items), slowly(items)]) {
          expect(
            await collect(executor.map(identity<number>, given, options)),
          ).toEqual(items);
        }
        expect(await collect(executor.map(identity<number>, []))).toEqual([]);
      },
    );

    test('an error is thrown at the position of its item and ends the iteration', async () => {
      const results = queue().map(ends.failOnThree, [1, 2, 3, 4]);
      expect((await results.next()).value).toBe(1);
      expect((await results.next()).value).toBe(2);
      expect(await rejection(results.next())).toBeInstanceOf(Error);
      expect(await results.next()).toEqual({ done: true, value: undefined });
    });

    test('an error of the input is thrown at its position', async () => {
      async function* broken(): AsyncGenerator<number> {
        yield 1;
        throw new Error('broken input');
      }
      const results = queue().map(identity<number>, broken());
      expect((await results.next()).value).toBe(1);
      expect(await rejection(results.next())).toMatchObject({
        message: 'broken input',
      });
    });

    test('with bufferSize, map reads at most that many items ahead', async () => {
      let read = 0;
      function* endless(): Generator<number> {
        for (;;) yield read++;
      }
      const bufferSize = 3;
      const results = queue().map(identity<number>, endless(), { bufferSize });
      expect(read).toBe(0);
      for (let i = 0; i < 5; i++) {
        expect((await results.next()).value).toBe(i);
        expect(read).toBeLessThanOrEqual(i + 1 + bufferSize);
      }
      await results.return(undefined);
      const readAtEnd = read;
      await new Promise((wake) => setTimeout(wake, 20));
      expect(read).toBe(readAtEnd);
    });

    test('leaving the loop cancels the pending calls of this map only', async () => {
      const executor = queue(1);
      const log = newLog();
      const items = Array.from({ length: 20 }, (_, i) => i);
      let other: ExecutorFuture<string> | undefined;
      for await (const value of executor.map(identity<number>, items)) {
        expect(value).toBe(0);
        other = executor.submit(jobs.note, log, 'other');
        break;
      }
      expect(executor.pending).toBeLessThanOrEqual(1);
      expect(await other).toBe('other');
      await executor.shutdown();
      expect(executor.completed).toBeLessThan(5);
    });

    test('map throws TimeoutError when its timeout expires', async () => {
      const executor = queue(1);
      const gate = makeGate();
      const items = [gate.file, gate.file];
      const results = executor.map(waitAt, items, { timeout: 30 });
      expect(await rejection(results.next())).toMatchObject({
        name: 'TimeoutError',
      });
      expect(executor.pending).toBe(0);
      // The timeout also ends a map whose input never yields.
      const never = (async function* (): AsyncGenerator<string> {
        await new Promise(() => undefined);
        yield '';
      })();
      const empty = executor.map(waitAt, never, { timeout: 30 });
      expect(await rejection(empty.next())).toMatchObject({
        name: 'TimeoutError',
      });
    });

    test('an AbortSignal ends map and its jobs', async () => {
      const js = open(1);
      const executor = new JobserverExecutor(js);
      const controller = new AbortController();
      const { signal } = controller;
      const results = executor.map(waitAt, ['/never', '/never'], { signal });
      const next = results.next();
      await until('a job to run', () => executor.running === 1);
      controller.abort();
      expect(await rejection(next)).toMatchObject({ name: 'AbortError' });
      await until('the slot to be free', () => freeSlots(js) === 1);
      expect(executor.pending).toBe(0);
    });

    test('map throws at the call for invalid items or options', () => {
      const executor = queue();
      for (const [items, options] of [
        [7, {}],
        ['text', {}],
        [[1], { bufferSize: 0 }],
        [[1], { chunkSize: 'a' }],
        [[1], { timeout: -1 }],
        [[1], { priority: NaN }],
      ] as const) {
        const call = (): unknown =>
          executor.map(identity, items as never, options as never);
        expect(thrown(call)).toHaveProperty('code');
      }
    });
  });

  describe('observation', () => {
    test('completed, runTime and waitTime record every call', async () => {
      const executor = queue(1);
      const work = [1, 2, 3].map((n) => executor.submit(identity<number>, n));
      expect(executor.pending).toBe(3);
      await Promise.all(work);
      await executor.shutdown();
      expect(executor.completed).toBe(3);
      expect(executor.runTime.count).toBe(3);
      expect(executor.waitTime.count).toBe(3);
      // In nanoseconds. The last call waits for the two others.
      expect(executor.waitTime.max).toBeGreaterThanOrEqual(
        executor.runTime.min,
      );
      expect(executor.runTime.min).toBeGreaterThan(10_000);
    });

    test('diagnostics_channel reports submission, start and end of every job', async () => {
      const events: [string, JobRecord, unknown][] = [];
      const subscriptions = ['submit', 'start', 'done'].map((what) => {
        const name = `jobserver:${what}`;
        const listener = (message: unknown): void => {
          const record = message as JobRecord;
          events.push([what, record, [record.pid, record.outcome]]);
        };
        diagnosticsChannel.subscribe(name, listener);
        return () => diagnosticsChannel.unsubscribe(name, listener);
      });
      try {
        const js = open(1);
        const executor = new JobserverExecutor(js);
        await executor.submit(identity<number>, 1);
        await rejection(js.run(ends.fail, 'x'));
        await rejection(js.run(ends.die));
        executor.submit(identity<number>, 2).cancel();
        const gate = makeGate();
        const holder = await js.submit(waitAt, [gate.file]);
        const late = js.submit(identity<number>, [3], { timeout: 0 });
        expect(await rejection(late)).toBeInstanceOf(Blocked);
        gate.open();
        await holder.wait();
      } finally {
        for (const unsubscribe of subscriptions) unsubscribe();
      }
      const ids = [...new Set(events.map(([, { id }]) => id))];
      const found = ids.map((id) => {
        const own = events.filter(([, record]) => record.id === id);
        const [, record] = own[0]!;
        return [record.name, own.map(([what]) => what), record.outcome];
      });
      const whole = ['submit', 'start', 'done'];
      expect(found).toEqual([
        ['identity', whole, 'value'],
        ['fail', whole, 'error'],
        ['die', whole, 'lost'],
        ['identity', ['submit', 'done'], 'unstarted'],
        ['waitAt', whole, 'value'],
        ['identity', ['submit', 'done'], 'unstarted'],
      ]);
      for (const [what, record, [pid]] of events as [
        string,
        JobRecord,
        [number | undefined],
      ][]) {
        const { submittedAt, startedAt, finishedAt, outcome } = record;
        if (outcome === 'unstarted') {
          expect([pid, startedAt]).toEqual([undefined, undefined]);
        } else {
          if (what !== 'submit') expect(pid).toBeGreaterThan(1);
          expect(startedAt).toBeGreaterThanOrEqual(submittedAt);
          expect(finishedAt).toBeGreaterThanOrEqual(startedAt!);
        }
      }
    });

    test('inspect shows the state, the counts and the Jobserver', async () => {
      const executor = queue(1);
      const gate = makeGate();
      const text = inspect(open(1));
      expect(inspect(executor)).toBe(
        `JobserverExecutor(active, pending=0, running=0, ${text})`,
      );
      const work = [1, 2].map((n) => executor.submit(waitAt, gate.file, n));
      await until('one to run', () => work[0]!.state === 'running');
      const busy = text.replace('running=0', 'running=1');
      expect(inspect(executor)).toBe(
        `JobserverExecutor(active, pending=1, running=1, ${busy})`,
      );
      gate.open();
      await executor.shutdown();
      expect(inspect(executor)).toContain('shutdown, pending=0, running=0');
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

  test.each([7, {}, 'spawn'])(
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
      [1, 2, 3].map((n) =>
        executor.submit(spanAt, join(folder, `started-${n}`), gate.file),
      ),
    );
    for (let i = 1; i < spans.length; i++) {
      expect(spans[i]![0]).toBeGreaterThanOrEqual(spans[i - 1]![1]);
    }
  });

  describe('process', () => {
    const run = async (name: string, ...flags: string[]): Promise<unknown> => {
      const node = [...process.execArgv, ...flags, programs, name, context];
      const ended = await runNode(node);
      expect(ended).toMatchObject({ code: 0, stderr: '' });
      return JSON.parse(ended.stdout);
    };

    test('an idle executor does not keep the process alive', async () => {
      expect(await run('idle')).toEqual({ value: 1 });
    });

    test('pending calls keep the process alive', async () => {
      expect(await run('pending')).toEqual({ seen: [1, 2, 3] });
    });

    test('unref lets the process end, and ref keeps it alive', async () => {
      expect(await run('unref')).toEqual({ states: ['running', 'pending'] });
      expect(await run('ref')).toEqual({ state: 'finished' });
    });

    test('an unobserved rejection ends the process like that of any promise', async () => {
      const ended = await runNode([
        ...process.execArgv,
        programs,
        'unobserved',
        context,
      ]);
      expect(ended.code).toBe(1);
      expect(ended.stderr).toContain('not observed');
    });

    test('cancelled calls cause no unhandledRejection', async () => {
      expect(await run('cancelled')).toEqual({
        states: ['cancelled', 'cancelled', 'cancelled'],
      });
    });

    test('a promise that is kept does not keep its executor in memory', async () => {
      expect(await run('retained', '--expose-gc')).toEqual({
        isGone: true,
        value: 1,
      });
    });

    test('an executor closes the Jobserver that it created after its last call', async () => {
      expect(await run('own')).toEqual({
        values: [1, 2, 3],
        leakedFds: 0,
      });
    });
  });
}
