import type { Context } from '../../dist/context.js';
import type { ExecutorFuture } from '../../dist/index.js';
import * as ends from '../fixtures/ending-jobs.js';
import * as jobs from '../fixtures/executor-jobs.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';
import { collect, useExecutors } from './executor-setup.js';

/** JobserverExecutor: map. */
export function executorMapContract(context: Context): void {
  const { makeGate, newLog, queue } = useExecutors(context);

  describe('map', () => {
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
      const executor = queue(1);
      const controller = new AbortController();
      const { signal } = controller;
      const results = executor.map(waitAt, ['/never', '/never'], { signal });
      const next = results.next();
      await until('a job to run', () => executor.running === 1);
      controller.abort();
      expect(await rejection(next)).toMatchObject({ name: 'AbortError' });
      expect(executor.pending).toBe(0);
      // The slot is free.
      expect(await executor.submit(identity<number>, 3)).toBe(3);
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
}
