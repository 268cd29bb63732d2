import type { Context } from '../../dist/context.js';
import {
  type Jobserver,
  JobserverExecutor,
  LostResult,
  type MapOptions,
} from '../../dist/index.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import * as jobs from '../fixtures/result-kinds.js';
import { isRemote, testIf } from '../helpers/context.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';
import {
  asAsync,
  collect,
  collectUntilError,
  counting,
  next,
} from './map-setup.js';

type Results = AsyncGenerator<unknown> | Generator<unknown>;

/** Maps a function of one argument over items. */
type Start = (
  js: Jobserver,
  fn: (item: never) => unknown,
  items: Iterable<unknown>,
  options: MapOptions<boolean>,
) => Results;

function* spread(items: Iterable<unknown>): Generator<[never]> {
  for (const item of items) yield [item as never];
}

const starts: [string, Start][] = [
  ['map', (js, fn, items, options) => js.map(fn, items as never, options)],
  [
    'mapSync',
    (js, fn, items, options) => js.mapSync(fn, items as never, options),
  ],
  [
    'starmap',
    (js, fn, items, options) => js.starmap(fn, spread(items), options),
  ],
  [
    'starmapSync',
    (js, fn, items, options) => js.starmapSync(fn, spread(items), options),
  ],
  [
    'map of an executor',
    (js, fn, items, options) =>
      new JobserverExecutor(js).map(fn, items as never, options),
  ],
];

const numbers = Array.from({ length: 12 }, (_, i) => i);

/** What map yields: in which order, for errors too, and in which slots. */
export function mapResultContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  describe('ordered: false', () => {
    test.each(starts)(
      '%s yields the results of quick jobs before those of a slow one',
      async (_, start) => {
        const js = open(2);
        const gate = makeGate();
        const items = [gate.file, 'a', 'b', 'c'];
        const results = start(js, jobs.waitIfPath, items, { ordered: false });
        const quick = [await next(results), await next(results)];
        quick.push(await next(results));
        expect(quick).toEqual(['a', 'b', 'c']);
        gate.open();
        expect(await collect(results)).toEqual([gate.file]);
        expect([js.running, freeSlots(js)]).toEqual([0, 2]);
      },
    );

    test.each(starts)(
      '%s yields the result of each item once',
      async (_, start) => {
        const js = open(2);
        for (const chunkSize of [1, 7, 'auto'] as const) {
          const bufferSize = chunkSize === 7 ? undefined : 3;
          const options = { ordered: false, chunkSize, bufferSize };
          const found = await collect(start(js, identity, numbers, options));
          expect(found.map(Number).sort((a, b) => a - b)).toEqual(numbers);
          expect(await collect(start(js, identity, [], options))).toEqual([]);
        }
      },
    );

    test.each(starts)(
      '%s reads at most bufferSize items ahead of its reader',
      async (_, start) => {
        const js = open(2);
        const input = counting();
        const options = { ordered: false, bufferSize: 3 };
        const results = start(js, identity, input, options);
        for (let n = 1; n <= 8; n++) {
          await next(results);
          expect(input.reads).toBeLessThanOrEqual(n + 3);
        }
        await results.return(undefined);
        await until('the input to be closed', () => input.isClosed);
        await until('the jobs to end', () => js.running === 0);
      },
    );

    test.each(starts)(
      'an error of the input follows the results before it in %s',
      async (_, start) => {
        const js = open(2);
        function* broken(): Generator<number> {
          yield 1;
          yield 2;
          throw new Error('broken input');
        }
        const options = { ordered: false, bufferSize: 9 };
        const results = start(js, identity, broken(), options);
        const found = await collectUntilError(results);
        expect(found.pop()).toMatchObject({ message: 'broken input' });
        expect(found.sort()).toEqual([1, 2]);
        expect(await next(results)).toBe('done');
      },
    );

    test('results of an async input come as they complete', async () => {
      const js = open(2);
      const gate = makeGate();
      const items = asAsync([gate.file, 'a', 'b']);
      const options = { ordered: false };
      const results = js.map(jobs.waitIfPath, items, options);
      expect([await next(results), await next(results)]).toEqual(['a', 'b']);
      gate.open();
      expect(await collect(results)).toEqual([gate.file]);
    });
  });

  describe('settled: true', () => {
    const settled = true;
    const fulfilled = (index: number, item: unknown, value = item): object => ({
      status: 'fulfilled',
      value,
      item,
      index,
    });
    const rejected = (
      index: number,
      item: unknown,
      reason: object,
    ): object => ({
      status: 'rejected',
      reason: expect.objectContaining(reason),
      item,
      index,
    });
    const isStar = (name: string): boolean => name.startsWith('star');

    test.each(starts)(
      '%s goes on after an error, and after a lost job that loses its chunk',
      async (name, start) => {
        const js = open(2);
        const item = (n: number): unknown => (isStar(name) ? [n] : n);
        for (const ordered of [true, false]) {
          const options = { settled, chunkSize: 2, ordered };
          const items = [1, 2, 3, 4, 5, 6, 7];
          const found = await collect(
            start(js, jobs.failOrDie, items, options),
          );
          if (!ordered) {
            const index = (each: unknown): number =>
              (each as { index: number }).index;
            found.sort((a, b) => index(a) - index(b));
          }
          const bad = { name: 'RangeError', message: 'bad is 3' };
          const lost = { signal: 'SIGKILL', items: { first: 4, last: 5 } };
          expect(found).toEqual([
            fulfilled(0, item(1), 1),
            fulfilled(1, item(2), 2),
            rejected(2, item(3), bad),
            fulfilled(3, item(4), 4),
            rejected(4, item(5), lost),
            rejected(5, item(6), lost),
            fulfilled(6, item(7), 7),
          ]);
          const { reason } = found[4] as { reason: unknown };
          expect(reason).toBeInstanceOf(LostResult);
        }
      },
    );

    test.each(starts)(
      "%s settles each item with chunkSize 'auto' and with bufferSize",
      async (_, start) => {
        const js = open(2);
        for (const bufferSize of [undefined, 2]) {
          const options = { settled, chunkSize: 'auto', bufferSize } as const;
          const results = start(js, jobs.failOnOdd, numbers, options);
          const found = (await collect(results)) as { status: string }[];
          expect(found.map(({ status }) => status)).toEqual(
            numbers.map((n) => (n % 2 === 0 ? 'fulfilled' : 'rejected')),
          );
        }
      },
    );

    test.each(starts)(
      'a value that cannot be sent rejects its own item of %s',
      async (_, start) => {
        const options = { settled, chunkSize: 4 };
        const items = ['value', 'function', 'throw function', 'throw'];
        const found = await collect(
          start(open(1), jobs.result, items, options),
        );
        const code = 'ERR_JOBSERVER_NOT_SERIALIZABLE';
        expect(found).toMatchObject([
          { status: 'fulfilled', value: 'value' },
          { status: 'rejected', reason: { code } },
          { status: 'rejected', reason: { code } },
          { status: 'rejected', reason: 'thrown' },
        ]);
      },
    );

    testIf(isRemote(context))(
      'an item that cannot be sent is rejected, and the others are not',
      async () => {
        const js = open(2);
        const items = [1, () => 2, 3];
        for (const [, start] of starts) {
          const results = start(js, identity, items, { settled });
          expect(await collect(results)).toMatchObject([
            { status: 'fulfilled', value: 1 },
            {
              status: 'rejected',
              reason: { code: 'ERR_JOBSERVER_NOT_SERIALIZABLE' },
              index: 1,
            },
            { status: 'fulfilled', value: 3 },
          ]);
        }
      },
    );

    test.each(starts)(
      'an error of the input, an abort and a timeout end %s',
      async (_, start) => {
        const js = open(1);
        function* broken(): Generator<number> {
          yield 1;
          throw new Error('broken input');
        }
        const buffered = { settled, bufferSize: 5 };
        const failing = start(js, identity, broken(), buffered);
        const found = await collectUntilError(failing);
        expect(found).toMatchObject([
          { value: 1 },
          { message: 'broken input' },
        ]);
        const controller = new AbortController();
        const { signal } = controller;
        const held = makeGate();
        const aborted = start(js, waitAt, [held.file], { settled, signal });
        controller.abort();
        expect(await collectUntilError(aborted)).toMatchObject([
          { name: 'AbortError' },
        ]);
        const gate = makeGate();
        const options = { settled, timeout: 50 };
        const late = start(js, waitAt, [gate.file], options);
        expect(await collectUntilError(late)).toMatchObject([
          { name: expect.stringMatching(/^(Blocked|TimeoutError)$/) },
        ]);
        gate.open();
        await until('the job to end', () => js.running === 0);
      },
    );
  });

  describe('consume', () => {
    test.each(starts)('%s with consume 0 needs no slot', async (_, start) => {
      const js = open(1);
      const gate = makeGate();
      await js.submit(waitAt, [gate.file]);
      const options = { consume: 0, bufferSize: 2, timeout: 60_000 } as const;
      expect(await collect(start(js, identity, [1, 2, 3], options))).toEqual([
        1, 2, 3,
      ]);
      const auto = { ...options, chunkSize: 'auto' } as const;
      expect(await collect(start(js, identity, numbers, auto))).toEqual(
        numbers,
      );
      expect(freeSlots(js)).toBe(0);
      gate.open();
    });

    test('a map in a job lends its slot, unless consume is 1', async () => {
      const js = open(1);
      expect(await js.run(jobs.mapInside, undefined)).toEqual([1, 2]);
      expect(await js.run(jobs.mapInside, 0)).toEqual([1, 2]);
      expect(await js.run(jobs.mapInside, 1)).toBe('ERR_JOBSERVER_BLOCKED');
      expect(await js.run(jobs.mapInOwnPool, 1)).toEqual([1, 2]);
    });
  });

  test.each(starts)('%s refuses other values of these options', (_, start) => {
    const js = open(1);
    for (const [name, values] of [
      ['ordered', [1, 'no', null, {}]],
      ['settled', [0, 'yes', null]],
      ['consume', [2, -1, '0', null, true, 'owned']],
    ] as const) {
      for (const value of values) {
        const options = { [name]: value };
        expect(thrown(() => start(js, identity, [], options))).toMatchObject({
          code: expect.stringMatching(/^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/),
          message: expect.stringContaining(`\`${name}\``),
        });
      }
    }
  });
}
