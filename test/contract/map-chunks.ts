import type { Context } from '../../dist/context.js';
import {
  type Jobserver,
  JobserverExecutor,
  LostResult,
} from '../../dist/index.js';
import {
  dieOnFive,
  failOnThree,
  loseOnFive,
  pidOf,
} from '../fixtures/ending-jobs.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { useGates } from '../helpers/gate.js';
import { ofOwnProcess, openJobserver } from '../helpers/jobserver.js';
import { thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';
import {
  asAsync,
  collect,
  collectUntilError,
  counting,
  names,
  next,
  plain,
  start,
} from './map-setup.js';

const numbers = Array.from({ length: 2000 }, (_, i) => i);

/** map and its variants: the sizes of chunks, and lost chunks. */
export function mapChunkContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });
  const auto = { chunkSize: 'auto' } as const;

  test.each(names)(
    "results of %s come in the order of the input with chunkSize 'auto'",
    async (name) => {
      const js = open(2);
      const isStar = name.startsWith('star');
      const items: unknown[] = isStar ? numbers.map((n) => [n]) : numbers;
      for (const bufferSize of [undefined, 3]) {
        const options = { ...auto, bufferSize };
        const results = start(js, name, identity, items, options);
        expect(await collect(results)).toEqual(numbers);
        expect(await collect(start(js, name, identity, [], options))).toEqual(
          [],
        );
      }
      if (name.endsWith('Sync')) return;
      const results = start(js, name, identity, asAsync(items), auto);
      expect(await collect(results)).toEqual(numbers);
    },
  );

  test.each(plain)(
    "with chunkSize 'auto', %s makes many short calls in one job",
    async (name) => {
      const js = open(1);
      for (const items of [numbers, counting(2000)]) {
        const options = { ...auto, bufferSize: 10 };
        const results = start(js, name, pidOf, items, options);
        const pids = await collect(results);
        expect(pids.length).toBe(2000);
        expect(new Set(pids).size).toBeLessThan(200);
      }
    },
  );

  test("with chunkSize 'auto', the first jobs make one call each", async () => {
    const js = open(3);
    const gate = makeGate();
    const input = counting();
    const items = {
      *[Symbol.iterator]() {
        for (const n of input) yield [gate.file, n] as [string, number];
      },
    };
    const options = { ...auto, bufferSize: 4 };
    const results = js.starmap(waitAt<number>, items, options);
    const first = next(results);
    await until('all slots to be taken', () => js.running === 3);
    await until('one to wait', () => input.reads === 4);
    gate.open();
    expect(await first).toBe(1);
    await results.return(undefined);
    await until('the input to be closed', () => input.isClosed);
  });

  test.each(plain)('%s refuses any other chunkSize by name', (name) => {
    const js = open(1);
    const expected = "`chunkSize` to be a positive integer or 'auto'";
    for (const chunkSize of ['Auto', '', '5', 0, -1, 1.5, NaN, {}, true]) {
      const options = { chunkSize } as never;
      const call = (): unknown => start(js, name, identity, [], options);
      expect(thrown(call)).toMatchObject({
        code: expect.stringMatching(/^ERR_(INVALID_ARG_TYPE|OUT_OF_RANGE)$/),
        message: expect.stringContaining(expected),
      });
    }
  });

  test.each(plain)(
    "an error is thrown by %s in place of its chunk with chunkSize 'auto'",
    async (name) => {
      const results = start(open(1), name, failOnThree, numbers, auto);
      const found = await collectUntilError(results);
      const error = found.pop();
      expect(error).toMatchObject({ message: 'bad is 3' });
      expect(found).toEqual(numbers.slice(0, found.length));
      expect(found.length).toBeLessThanOrEqual(3);
      expect(await next(results)).toBe('done');
    },
  );

  const ofExecutor = (
    js: Jobserver,
    fn: (value: number) => number,
    options: object,
  ): AsyncGenerator<unknown> =>
    new JobserverExecutor(js).map(fn, numbers, options);
  const ofName =
    (name: 'map' | 'mapSync'): typeof ofExecutor =>
    (js, fn, options) =>
      start(js, name, fn, numbers, options) as AsyncGenerator<unknown>;
  const variants = [
    ['map', ofName('map')],
    ['mapSync', ofName('mapSync')],
    ['executor.map', ofExecutor],
  ] as const;

  test.each(variants)('a lost job of %s names its items', async (_, begin) => {
    const js = open(2);
    const lossOf = async (chunkSize: number): Promise<LostResult> => {
      const results = begin(js, dieOnFive, { chunkSize });
      const found = await collectUntilError(results);
      const lost = found.pop() as LostResult;
      expect(found).toEqual(numbers.slice(0, lost.items!.first));
      return lost;
    };
    const three = await lossOf(3);
    expect(three).toBeInstanceOf(LostResult);
    expect(three).toMatchObject({
      signal: 'SIGKILL',
      items: { first: 3, last: 5 },
      message: expect.stringMatching(/by SIGKILL; lost items 3 to 5$/),
    });
    expect(await lossOf(1)).toMatchObject({
      items: { first: 5, last: 5 },
      message: expect.stringMatching(/; lost item 5$/),
    });
    expect((await lossOf(5000)).items).toEqual({ first: 0, last: 1999 });
  });

  test.each(variants)(
    "a lost job of %s names its items with chunkSize 'auto'",
    async (_, begin) => {
      const results = begin(open(2), dieOnFive, auto);
      const found = await collectUntilError(results);
      const { items } = found.pop() as LostResult;
      expect(found).toEqual(numbers.slice(0, items!.first));
      expect(items!.first).toBeLessThanOrEqual(5);
      expect(items!.last).toBeGreaterThanOrEqual(5);
    },
  );

  test.each(variants)(
    'a LostResult that a call of %s throws names no items',
    async (_, begin) => {
      const results = begin(open(2), loseOnFive, { chunkSize: 2 });
      const found = await collectUntilError(results);
      const lost = found.pop() as LostResult;
      expect(found).toEqual([0, 1, 2, 3]);
      expect(lost).toBeInstanceOf(LostResult);
      expect(lost).not.toHaveProperty('items');
    },
  );

  ofOwnProcess(
    "executor.map with chunkSize 'auto' keeps the order, and one chunk pending",
    async () => {
      const executor = new JobserverExecutor(open(2));
      let most = 0;
      for (const items of [numbers, asAsync(numbers)]) {
        const found: number[] = [];
        for await (const n of executor.map(identity<number>, items, auto)) {
          found.push(n);
          most = Math.max(most, executor.pending);
        }
        expect(found).toEqual(numbers);
      }
      expect(most).toBeLessThanOrEqual(1);
      expect(executor.completed).toBeLessThan(400);
    },
  );
}
