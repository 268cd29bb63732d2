import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import { failOnThree, sum } from '../fixtures/ending-jobs.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
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

const typeError = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };

/** map and its variants: how much input is read, and when. */
export function mapInputContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  test.each([
    [1, 1],
    [2, 1],
    [2, 3],
  ])(
    'with bufferSize %d and chunkSize %d, map reads only as much input as it needs',
    async (bufferSize, chunkSize) => {
      const js = open(2);
      const options = { bufferSize, chunkSize };
      for (const isAsync of [false, true]) {
        const input = counting();
        const items = isAsync ? asAsync(input) : input;
        const results = start(js, 'map', identity, items, options);
        expect(input.reads).toBe(0);
        for (let chunks = 1; chunks <= 3; chunks++) {
          for (let i = 1; i <= chunkSize; i++) {
            expect(await next(results)).toBe((chunks - 1) * chunkSize + i);
            const most = (bufferSize + chunks) * chunkSize;
            expect(input.reads).toBeLessThanOrEqual(most);
          }
        }
        // The buffer is filled up to here without further requests.
        const reads = (bufferSize + 3) * chunkSize;
        await until('the buffer to be full', () => input.reads === reads);
        await until('jobs to finish', () => js.running === 0);
        expect(input.reads).toBe(reads);
        await results.return(undefined);
        await until('the input to be closed', () => input.isClosed);
      }
    },
  );

  test.each([
    [1, 1],
    [2, 3],
  ])(
    'with bufferSize %d and chunkSize %d, mapSync reads only as much input as it needs',
    (bufferSize, chunkSize) => {
      const js = open(1);
      const input = counting();
      const results = js.mapSync(identity, input, { bufferSize, chunkSize });
      expect(input.reads).toBe(0);
      let count = 0;
      for (const value of results) {
        count += 1;
        expect(value).toBe(count);
        const chunks = Math.ceil(count / chunkSize);
        const most = (bufferSize + chunks) * chunkSize;
        expect(input.reads).toBeLessThanOrEqual(most);
        if (count === 2 * chunkSize + 1) break;
      }
      expect(input.isClosed).toBe(true);
    },
  );

  test('map keeps at most bufferSize jobs outstanding', async () => {
    const js = open(4);
    const gate = makeGate();
    const files = Array.from({ length: 6 }, () => gate.file);
    const results = js.map(waitAt, files as never[], { bufferSize: 2 });
    const all = collect(results);
    await until('two jobs to run', () => js.running === 2);
    // While this job starts and ends, map could start further ones.
    expect(await js.run(identity, 1)).toBe(1);
    expect([js.running, freeSlots(js)]).toEqual([2, 2]);
    gate.open();
    expect((await all).length).toBe(6);
  });

  test('an async input is read after the call, and each item is used as it arrives', async () => {
    const js = open(2);
    const input = counting(3);
    const results = js.map(identity, asAsync(input));
    await new Promise((resolve) => setImmediate(resolve));
    expect(input.reads).toBe(0);
    expect(await collect(results)).toEqual([1, 2, 3]);

    let send: (n: number) => void = () => undefined;
    const slow = {
      async *[Symbol.asyncIterator]() {
        yield 1;
        yield await new Promise<number>((resolve) => (send = resolve));
      },
    };
    const late = js.map(identity, slow);
    expect(await next(late)).toBe(1);
    send(2);
    expect(await collect(late)).toEqual([2]);
  });

  test.each(names)(
    'an input that throws makes %s throw at that position, or at the call',
    async (name) => {
      const js = open(2);
      const error = new Error('input is broken');
      const broken = {
        *[Symbol.iterator]() {
          yield name.startsWith('star') ? [1] : 1;
          throw error;
        },
      };
      expect(thrown(() => start(js, name, identity, broken))).toBe(error);
      const options = { bufferSize: 2 };
      const lazily = start(js, name, identity, broken, options);
      expect(await collectUntilError(lazily)).toEqual([1, error]);
      expect(await next(lazily)).toBe('done');
      if (name.endsWith('Sync')) return;
      const async = start(js, name, identity, asAsync(broken));
      expect(await collectUntilError(async)).toEqual([1, error]);
    },
  );

  test.each(['starmap', 'starmapSync'] as const)(
    '%s names the item that is not a list of arguments',
    async (name) => {
      const js = open(2);
      const error = {
        ...typeError,
        message: expect.stringContaining('argses[1]'),
      };
      for (const bad of ['ab', 5, null, {}, new Map()]) {
        const argses = [[1], bad];
        expect(thrown(() => start(js, name, sum, argses))).toMatchObject(error);
      }
      const argses = [[1], 'ab'];
      const lazily = start(js, name, sum, argses, { bufferSize: 1 });
      const found = await collectUntilError(lazily);
      expect(found).toMatchObject([1, error]);
      if (name.endsWith('Sync')) return;
      const async = start(js, name, sum, asAsync(argses));
      expect(await collectUntilError(async)).toMatchObject([1, error]);
    },
  );

  test.each(plain)(
    'an error in %s closes an input that is read lazily',
    async (name) => {
      const js = open(1);
      const input = counting();
      const options = { bufferSize: 1 };
      const results = start(js, name, failOnThree, input, options);
      expect((await collectUntilError(results)).length).toBe(3);
      await until('the input to be closed', () => input.isClosed);
      expect(input.reads).toBeLessThanOrEqual(4);
    },
  );
}
