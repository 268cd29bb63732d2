import { existsSync } from 'node:fs';
import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import { failOnThree, pidOf, sum } from '../fixtures/ending-jobs.js';
import { announceAndWait, waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { useGates } from '../helpers/gate.js';
import {
  freeSlots,
  ofOwnProcess,
  openJobserver,
} from '../helpers/jobserver.js';
import { thrown } from '../helpers/thrown.js';
import { badTimeouts } from '../helpers/timeouts.js';
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

/** map, mapSync, starmap, starmapSync: arguments, order, chunks and errors. */
export function mapContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  test.each(names)('%s of an empty input yields nothing', async (name) => {
    const js = open(1);
    for (const items of [[], new Set(), counting(0)]) {
      expect(await collect(start(js, name, identity, items))).toEqual([]);
    }
    if (name.endsWith('Sync')) return;
    expect(await collect(start(js, name, identity, asAsync([])))).toEqual([]);
  });

  test('map passes each item as one argument, and starmap spreads it', async () => {
    const js = open(2);
    const items: [number, number][] = [
      [1, 2],
      [3, 4],
    ];
    expect(await collect(js.map(identity, items))).toEqual(items);
    expect([...js.mapSync(identity, new Set(items))]).toEqual(items);
    expect(await collect(js.starmap(sum, items))).toEqual([3, 7]);
    expect([...js.starmapSync(sum, new Set(items))]).toEqual([3, 7]);
    expect(await collect(js.map(identity, asAsync(items)))).toEqual(items);
    expect(await collect(js.starmap(sum, asAsync(items)))).toEqual([3, 7]);
  });

  test.each(names)(
    '%s throws for an input that is not iterable, a string or a Map',
    (name) => {
      const js = open(1);
      const bad = ['ab', new Map([[1, 2]]), {}, 5, null, undefined, () => 1];
      for (const items of bad) {
        expect(thrown(() => start(js, name, identity, items))).toMatchObject(
          typeError,
        );
      }
      if (!name.endsWith('Sync')) return;
      const items = asAsync([1]);
      expect(thrown(() => start(js, name, identity, items))).toMatchObject(
        typeError,
      );
    },
  );

  test.each(names)(
    '%s checks the function and the options at the call',
    (name) => {
      const js = open(1);
      const call = (fn: unknown, options: object): unknown =>
        thrown(() => start(js, name, fn, [], options));
      for (const fn of [undefined, null, 5, {}]) {
        expect(call(fn, {})).toMatchObject(typeError);
      }
      for (const option of ['chunkSize', 'bufferSize']) {
        for (const size of [0, -1, 1.5, NaN, Infinity, true, '2', 2n, {}]) {
          expect(call(identity, { [option]: size })).toMatchObject({
            name: expect.stringMatching(/^(Type|Range)Error$/),
            message: expect.stringContaining(option),
          });
        }
      }
      for (const [timeout, error] of badTimeouts) {
        expect(call(identity, { timeout })).toMatchObject(error);
      }
      expect(call(identity, { signal: 5 })).toMatchObject(typeError);
      for (const options of [5, null, 'timeout'] as never[]) {
        expect(call(identity, options)).toMatchObject(typeError);
      }
    },
  );

  test('results come in the order of the input, whichever job ends first', async () => {
    const js = open(2);
    for (const isSync of [false, true]) {
      const [first, opened] = [makeGate(), makeGate()];
      opened.open();
      const last = makeGate().file;
      const argses: [string, string, number][] = [
        [makeGate().file, last, 0],
        [makeGate().file, opened.file, 1],
        [first.file, opened.file, 2],
        // Opens the gate of the first job.
        [last, opened.file, 3],
      ];
      const values = isSync
        ? [...js.starmapSync(announceAndWait<number>, argses)]
        : await collect(js.starmap(announceAndWait<number>, argses));
      expect(values).toEqual([0, 1, 2, 3]);
    }
  });

  test.each(names)(
    '%s starts no job before the first result is requested',
    async (name) => {
      const js = open(1);
      const item = name.startsWith('star') ? [1] : 1;
      const results = start(js, name, identity, [item]);
      await new Promise((resolve) => setImmediate(resolve));
      expect([js.running, freeSlots(js)]).toEqual([0, 1]);
      expect(await next(results)).toBe(1);
      expect([await next(results), await next(results)]).toEqual([
        'done',
        'done',
      ]);
    },
  );

  test.each(plain)('%s reads its input once, at the call', async (name) => {
    const js = open(1);
    const input = counting(2);
    const array = [{ n: 1 }];
    const fromInput = start(js, name, identity, input);
    const fromArray = start(js, name, identity, array);
    expect([input.reads, input.isClosed]).toEqual([2, true]);
    array.push({ n: 2 });
    expect(await collect(fromInput)).toEqual([1, 2]);
    expect(await collect(fromArray)).toEqual([{ n: 1 }]);
    expect(input.reads).toBe(2);
  });

  for (const name of plain) {
    ofOwnProcess(`${name} makes chunkSize calls in each job`, async () => {
      const js = open(2);
      const run = async (chunkSize: number): Promise<number[]> => {
        const items = [1, 2, 3, 4, 5];
        const pids = await collect(
          start(js, name, pidOf, items, { chunkSize }),
        );
        return pids.map((pid) => [...new Set(pids)].indexOf(pid));
      };
      expect(await run(1)).toEqual([0, 1, 2, 3, 4]);
      expect(await run(2)).toEqual([0, 0, 1, 1, 2]);
      expect(await run(9)).toEqual([0, 0, 0, 0, 0]);
    });
  }

  test.each(plain)(
    '%s throws the error of fn at its position and then ends',
    async (name) => {
      const js = open(2);
      const results = start(js, name, failOnThree, [1, 2, 3, 4]);
      const found = await collectUntilError(results);
      expect(found).toEqual([1, 2, expect.any(RangeError)]);
      expect(found[2]).toMatchObject({ message: 'bad is 3' });
      expect(await next(results)).toBe('done');
    },
  );

  test.each(plain)(
    'one call that fails makes its whole chunk fail in %s',
    async (name) => {
      const js = open(2);
      const items = [1, 2, 5, 3, 4];
      const options = { chunkSize: 2 };
      const results = start(js, name, failOnThree, items, options);
      expect(await collectUntilError(results)).toEqual([
        1,
        2,
        expect.any(RangeError),
      ]);
    },
  );

  test('the first result comes while later calls still wait for a slot', async () => {
    const js = open(1);
    for (const name of ['starmap', 'starmapSync'] as const) {
      const [opened, gate] = [makeGate(), makeGate()];
      opened.open();
      const argses = [
        [opened.file, 'first'],
        [gate.file, 'second'],
        [gate.file, 'third'],
      ];
      const results = start(js, name, waitAt, argses);
      expect(await next(results)).toBe('first');
      gate.open();
      expect(await collect(results)).toEqual(['second', 'third']);
    }
  });

  test('jobs continue to start while the reader is busy', async () => {
    const js = open(1);
    const opened = makeGate();
    opened.open();
    const startedFiles = [makeGate(), makeGate(), makeGate()].map(
      (it) => it.file,
    );
    const argses = startedFiles.map(
      (started) => [started, opened.file, 'value'] as const,
    );
    const results = js.starmap(announceAndWait, argses as never);
    await results.next();
    await until('the others to run', () =>
      startedFiles.every((it) => existsSync(it)),
    );
    expect(await collect(results)).toEqual(['value', 'value']);
  });

  test.each(plain)(
    '%s that is read to its end leaves no job behind and no slot taken',
    async (name) => {
      const js = open(2);
      const items = Array.from({ length: 12 }, (_, i) => i);
      const options = { chunkSize: 2, bufferSize: 3, timeout: 2 ** 31 };
      const results = start(js, name, identity, items, options);
      expect(await collect(results)).toEqual(items);
      expect([js.running, freeSlots(js)]).toEqual([0, 2]);
    },
  );

  test('two maps on one slot both finish', async () => {
    const js = open(1);
    const items = [1, 2, 3];
    const both = [js.map(identity, items), js.map(identity, items)];
    expect(await Promise.all(both.map(collect))).toEqual([items, items]);
  });
}
