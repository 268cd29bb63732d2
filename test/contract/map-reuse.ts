import { existsSync } from 'node:fs';
import type { Context } from '../../dist/context.js';
import type { Jobserver, LostResult } from '../../dist/index.js';
import { dieOnFive, failOnThree, pidOf } from '../fixtures/ending-jobs.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { rejection } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';
import {
  asAsync,
  collect,
  collectUntilError,
  counting,
  next,
  plain,
  start,
} from './map-setup.js';

const numbers = Array.from({ length: 500 }, (_, i) => i);

/** map where processes run several jobs: several chunks wait for a slot. */
export function mapReuseContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver =>
    openJobserver({ context, slots, jobsPerProcess: Infinity });

  test.each([1, 7, 'auto'] as const)(
    'results come in the order of the items with chunkSize %p',
    async (chunkSize) => {
      const js = open(2);
      for (const options of [{ chunkSize }, { chunkSize, bufferSize: 5 }]) {
        for (const name of plain) {
          const results = start(js, name, identity, numbers, options);
          expect(await collect(results)).toEqual(numbers);
        }
        const input = asAsync(numbers);
        const results = js.map(identity<number>, input, options);
        expect(await collect(results)).toEqual(numbers);
      }
    },
  );

  test.each(plain)('%s uses one process for each slot', async (name) => {
    const pids = await collect(start(open(2), name, pidOf, numbers));
    expect(new Set(pids).size).toBeLessThanOrEqual(2);
  });

  test.each(plain)(
    'at most bufferSize chunks of %s are ahead of the reader',
    async (name) => {
      const js = open(2);
      const input = counting();
      const options = { bufferSize: 20 };
      const results = start(js, name, identity, input, options);
      for (let n = 1; n <= 200; n++) {
        expect(await next(results)).toBe(n);
        expect(input.reads).toBeLessThanOrEqual(n + 20);
      }
      await results.return(undefined);
      await until('the input to be closed', () => input.isClosed);
    },
  );

  test.each(plain)('leaving %s early ends what waits', async (name) => {
    const js = open(2);
    const results = start(js, name, identity, numbers);
    for (let n = 0; n <= 50; n++) expect(await next(results)).toBe(n);
    await results.return(undefined);
    await until('the jobs to end', () => js.running === 0);
    expect(freeSlots(js)).toBe(2);
    expect(await js.run(identity, 1)).toBe(1);
  });

  test('aborting map ends what runs and what waits', async () => {
    const js = open(1);
    const opened = makeGate();
    opened.open();
    const never = makeGate();
    const controller = new AbortController();
    const { signal } = controller;
    const files = numbers.map((n) => (n < 50 ? opened.file : never.file));
    const results = js.map(waitAt, files as never[], { signal });
    for (let n = 0; n < 50; n++) expect(await next(results)).toBe(undefined);
    const pending = rejection(results.next());
    controller.abort();
    expect(await pending).toMatchObject({ name: 'AbortError' });
    expect(await next(results)).toBe('done');
    await until('the slot to be free', () => freeSlots(js) === 1);
    expect(existsSync(never.file)).toBe(false);
  });

  test('closing the Jobserver ends what waits with its error', async () => {
    const js = open(1);
    const results = js.map(identity<number>, numbers);
    for (let n = 0; n < 50; n++) expect(await next(results)).toBe(n);
    js.closeSync();
    const found = await collectUntilError(results);
    expect(found.pop()).toMatchObject({ code: 'ERR_JOBSERVER_CLOSED' });
    expect(found).toEqual(numbers.slice(50, 50 + found.length));
  });

  test.each(plain)(
    'an error of fn or of an argument is thrown by %s in its place',
    async (name) => {
      const js = open(2);
      const failing = start(js, name, failOnThree, numbers);
      expect(await collectUntilError(failing)).toEqual([
        ...[0, 1, 2],
        expect.any(RangeError),
      ]);
      const items = numbers.map((n) => (n === 100 ? () => n : n));
      const unsendable = start(js, name, identity, items);
      const found = await collectUntilError(unsendable);
      expect(found.pop()).toMatchObject({
        code: 'ERR_JOBSERVER_NOT_SERIALIZABLE',
      });
      expect(found).toEqual(numbers.slice(0, 100));
    },
  );

  test.each([1, 'auto'] as const)(
    'a process that dies loses the items of one chunk with chunkSize %p',
    async (chunkSize) => {
      const js = open(2);
      await js.run(identity, 0);
      const results = js.map(dieOnFive, numbers, { chunkSize });
      const found = await collectUntilError(results);
      const { items } = found.pop() as LostResult;
      expect(found).toEqual(numbers.slice(0, items!.first));
      expect(items!.first).toBeLessThanOrEqual(5);
      expect(items!.last).toBeGreaterThanOrEqual(5);
      expect(await js.run(identity, 1)).toBe(1);
    },
  );
}
