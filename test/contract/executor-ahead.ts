import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import {
  type ExecutorFuture,
  type Jobserver,
  JobserverExecutor,
  LostResult,
} from '../../dist/index.js';
import { note } from '../fixtures/executor-jobs.js';
import { identity } from '../fixtures/jobs.js';
import * as jobs from '../fixtures/reuse-jobs.js';
import { useFolder } from '../helpers/folder.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { rejection } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';
import { collect, linesOf, statesOf } from './executor-setup.js';

/**
 * The first calls in the queue of an executor are sent ahead to busy processes.
 * Nobody can notice, except by the time.
 */
export function executorAheadContract(context: Context): void {
  const folder = useFolder();
  const at = (name: string): string => join(folder(), name);
  const runs = (): number =>
    existsSync(at('log')) ? readFileSync(at('log'), 'utf8').length / 4 : 0;

  /** Each slot has a process that has answered, and so takes calls ahead. */
  const openWarm = async (
    slots: number,
  ): Promise<{ js: Jobserver; executor: JobserverExecutor }> => {
    const js = openJobserver({ context, slots, jobsPerProcess: Infinity });
    const calls = Array.from({ length: slots }, () => js.run(jobs.pause));
    await Promise.all(calls);
    // Short jobs are sent ahead in numbers.
    for (let i = 0; i < 50; i++) await js.run(identity, i);
    return { js, executor: new JobserverExecutor(js) };
  };

  /** Submits a call that runs until the gate is open. */
  const hold = (executor: JobserverExecutor): ExecutorFuture<unknown> =>
    executor.submit(jobs.waitFor, at('gate'));
  const begin = (held: ExecutorFuture<unknown>): Promise<void> =>
    until('the call to run', () => held.state === 'running');
  const openGate = (): void => {
    writeFileSync(at('gate'), '');
  };
  const nextTurn = (): Promise<void> =>
    new Promise((wake) => setImmediate(wake));

  const logRuns = (
    executor: JobserverExecutor,
    count: number,
    signal?: AbortSignal,
  ): ExecutorFuture<number>[] =>
    Array.from({ length: count }, () =>
      executor.submitWith({ signal }, jobs.logRun, at('log')),
    );

  test('they are pending until they begin, and run in their order', async () => {
    const { executor } = await openWarm(1);
    const held = hold(executor);
    await begin(held);
    const names = Array.from({ length: 100 }, (_, i) => `${i}`);
    const work = names.map((name) => executor.submit(note, at('log'), name));
    await nextTurn();
    expect(new Set(statesOf(work))).toEqual(new Set(['pending']));
    expect([executor.pending, executor.running]).toEqual([100, 1]);
    openGate();
    expect(await Promise.all(work)).toEqual(names);
    await held;
    expect(linesOf(at('log'))).toEqual(names);
    expect([executor.pending, executor.running]).toEqual([0, 0]);
    expect(executor.completed).toBe(101);
    expect(executor.runTime.count).toBe(101);
  });

  test('one that is cancelled or aborted never runs', async () => {
    const { executor } = await openWarm(1);
    const held = hold(executor);
    await begin(held);
    const controller = new AbortController();
    const cancelled = logRuns(executor, 3);
    const aborted = logRuns(executor, 3, controller.signal);
    const kept = logRuns(executor, 3);
    await nextTurn();
    expect(cancelled.map((call) => call.cancel())).toEqual([true, true, true]);
    controller.abort();
    const dropped = [...cancelled, ...aborted];
    expect(new Set(statesOf(dropped))).toEqual(new Set(['cancelled']));
    for (const call of dropped) {
      expect(await rejection(call)).toMatchObject({ name: 'AbortError' });
    }
    openGate();
    await Promise.all([held, ...kept]);
    expect(runs()).toBe(3);
  });

  test('a call of higher priority precedes them', async () => {
    const { executor } = await openWarm(1);
    const held = hold(executor);
    await begin(held);
    const add = (priority: number, name: string): Promise<string> =>
      executor.submitWith({ priority }, note, at('log'), name);
    const work = [add(0, 'd'), add(0, 'e'), add(3, 'b')];
    await nextTurn();
    work.push(add(2, 'c'), add(0, 'f'), add(-1, 'g'));
    await nextTurn();
    work.push(add(9, 'a'));
    await nextTurn();
    openGate();
    await Promise.all([held, ...work]);
    expect(linesOf(at('log'))).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
  });

  test('shutdown with cancelFutures cancels them', async () => {
    const { js, executor } = await openWarm(1);
    const held = hold(executor);
    await begin(held);
    const work = logRuns(executor, 100);
    await nextTurn();
    const end = executor.shutdown({ cancelFutures: true });
    expect(new Set(statesOf(work))).toEqual(new Set(['cancelled']));
    openGate();
    await Promise.all([held, end]);
    expect(await js.run(identity, 1)).toBe(1);
    expect(runs()).toBe(0);
  });

  test('shutdown waits for them', async () => {
    const { executor } = await openWarm(2);
    const work = logRuns(executor, 300);
    await executor.shutdown();
    expect(new Set(statesOf(work))).toEqual(new Set(['finished']));
    expect([runs(), executor.completed]).toEqual([300, 300]);
  });

  test('close of the Jobserver rejects them, and they never run', async () => {
    const { js, executor } = await openWarm(1);
    const held = hold(executor);
    await begin(held);
    const work = logRuns(executor, 100);
    await nextTurn();
    const closed = js.close();
    for (const call of work) {
      const code = 'ERR_JOBSERVER_CLOSED';
      expect(await rejection(call)).toMatchObject({ code });
    }
    openGate();
    await Promise.all([held, closed, executor.shutdown()]);
    expect(runs()).toBe(0);
  });

  test('a process that dies loses the call that it runs', async () => {
    const { executor } = await openWarm(2);
    const before = logRuns(executor, 40);
    const lost = executor.submit(jobs.endBy, 'SIGKILL');
    const after = logRuns(executor, 40);
    expect(await rejection(lost)).toBeInstanceOf(LostResult);
    await Promise.all([...before, ...after]);
    expect(runs()).toBe(80);
  });

  test('each runs once or is cancelled, whenever cancel is called', async () => {
    const { js, executor } = await openWarm(2);
    const work: ExecutorFuture<unknown>[] = [];
    let cancelled = 0;
    for (let i = 0; i < 600; i++) {
      // A large value is read in several turns.
      if (i % 100 === 0) {
        void executor.submit(identity<Buffer>, Buffer.alloc(4 << 20));
      }
      const priority = (i * 7) % 3;
      work.push(executor.submitWith({ priority }, jobs.logRun, at('log')));
      if (i % 5 === 0) await nextTurn();
      const call = work[(i * 13) % work.length]!;
      const { state } = call;
      const isCancelled = call.cancel();
      expect([isCancelled, call.state === 'cancelled']).toEqual([
        isCancelled,
        isCancelled,
      ]);
      if (isCancelled && state === 'pending') cancelled += 1;
    }
    await executor.shutdown();
    await Promise.allSettled(work);
    expect(runs()).toBe(600 - cancelled);
    expect(executor.completed).toBe(606 - cancelled);
    expect([js.running, freeSlots(js)]).toEqual([0, 2]);
  });

  test('a direct call does not wait for the whole queue', async () => {
    const { js, executor } = await openWarm(1);
    const held = hold(executor);
    await begin(held);
    const work = Array.from({ length: 10 }, () => executor.submit(jobs.pause));
    await nextTurn();
    const direct = js.run(identity, 7);
    openGate();
    expect(await direct).toBe(7);
    expect(executor.pending).toBeGreaterThan(0);
    await Promise.all([held, ...work]);
  });

  test('a long call delays none of the short ones behind it', async () => {
    const { executor } = await openWarm(2);
    const held = executor.submit(jobs.waitFor, at('gate'));
    const others = Array.from({ length: 200 }, (_, i) =>
      executor.submit(identity<number>, i),
    );
    expect(await Promise.all(others)).toHaveLength(200);
    openGate();
    await held;
  });

  test('1,000 calls and a map share a few processes', async () => {
    const { executor } = await openWarm(2);
    const pids = Array.from({ length: 1000 }, () => executor.submit(jobs.pid));
    expect(new Set(await Promise.all(pids)).size).toBeLessThanOrEqual(2);
    const items = Array.from({ length: 500 }, (_, i) => i);
    for (const chunkSize of [7, 'auto'] as const) {
      const mapped = executor.map(identity<number>, items, { chunkSize });
      expect(await collect(mapped)).toEqual(items);
    }
  });
}
