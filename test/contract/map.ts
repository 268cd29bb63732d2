import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import type { Jobserver, MapOptions } from '../../dist/index.js';
import { fail, failOnThree, pidOf, sum } from '../fixtures/ending-jobs.js';
import { announceAndWait, waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { runNode } from '../helpers/program.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { badTimeouts } from '../helpers/timeouts.js';
import { timeoutFactor, until } from '../helpers/until.js';

const blocked = { name: 'Blocked', code: 'ERR_JOBSERVER_BLOCKED' };
const closed = { code: 'ERR_JOBSERVER_CLOSED' };
const aborted = { name: 'AbortError', code: 'ABORT_ERR' };
const typeError = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };

const programs = join(__dirname, '..', 'fixtures', 'map-programs.js');

type Name = 'map' | 'mapSync' | 'starmap' | 'starmapSync';
const names: Name[] = ['map', 'mapSync', 'starmap', 'starmapSync'];
const plain: Name[] = ['map', 'mapSync'];

type AnyIterator = AsyncGenerator<unknown> | Generator<unknown>;

/** Calls one of the four methods, without its types. */
function start(
  js: Jobserver,
  name: Name,
  fn: unknown,
  items: unknown,
  options?: MapOptions,
): AnyIterator {
  const method = js[name] as (...args: unknown[]) => AnyIterator;
  return method.call(js, fn, items, options);
}

async function collect(results: AnyIterator): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const value of results as AsyncGenerator<unknown>) {
    values.push(value);
  }
  return values;
}

async function next(results: AnyIterator): Promise<unknown> {
  const { done, value } = await results.next();
  return done === true ? 'done' : value;
}

/** The values that come before an error, then the error. */
async function collectUntilError(results: AnyIterator): Promise<unknown[]> {
  const values: unknown[] = [];
  for (;;) {
    try {
      const { done, value } = await results.next();
      if (done === true) throw new Error(`No error, but ${String(values)}`);
      values.push(value);
    } catch (error) {
      return [...values, error];
    }
  }
}

/** The numbers from 1, as an input that counts its reads. */
function counting(stop = Infinity) {
  const input = {
    reads: 0,
    isClosed: false,
    *[Symbol.iterator]() {
      try {
        while (input.reads < stop) {
          input.reads += 1;
          yield input.reads;
        }
      } finally {
        input.isClosed = true;
      }
    },
  };
  return input;
}

function asAsync<T>(items: Iterable<T>): AsyncIterable<T> {
  return {
    async *[Symbol.asyncIterator]() {
      for (const item of items) {
        await new Promise((resolve) => setImmediate(resolve));
        yield item;
      }
    },
  };
}

/** map, mapSync, starmap, starmapSync: calls for many items. */
export function mapContract(context: Context): void {
  jest.setTimeout(30_000 * timeoutFactor);
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

  test.each(plain)('%s makes chunkSize calls in each job', async (name) => {
    const js = open(2);
    const run = async (chunkSize: number): Promise<number[]> => {
      const items = [1, 2, 3, 4, 5];
      const pids = await collect(start(js, name, pidOf, items, { chunkSize }));
      return pids.map((pid) => [...new Set(pids)].indexOf(pid));
    };
    expect(await run(1)).toEqual([0, 1, 2, 3, 4]);
    expect(await run(2)).toEqual([0, 0, 1, 1, 2]);
    expect(await run(9)).toEqual([0, 0, 0, 0, 0]);
  });

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
    '%s throws Blocked when its timeout expires, never earlier, and then ends',
    async (name) => {
      const js = open(1);
      const gate = makeGate();
      const opened = makeGate();
      opened.open();
      const files = [opened.file, gate.file, opened.file];
      // Long enough for one job even on a busy machine.
      const timeout = 1500 * timeoutFactor;
      const began = performance.now();
      const results = start(js, name, waitAt, files, { timeout });
      expect(await collectUntilError(results)).toEqual([
        undefined,
        expect.objectContaining(blocked),
      ]);
      expect(performance.now() - began).toBeGreaterThanOrEqual(timeout);
      expect(await next(results)).toBe('done');
      gate.open();
      await until('the jobs to end', () => js.running === 0);
    },
  );

  test.each(plain)(
    'the timeout of %s includes the wait for a slot',
    async (name) => {
      const js = open(1);
      const gate = makeGate();
      await js.submit(waitAt, [gate.file]);
      for (const timeout of [0, 20.5]) {
        const began = performance.now();
        const results = start(js, name, identity, [1, 2], { timeout });
        expect(await collectUntilError(results)).toMatchObject([blocked]);
        expect(performance.now() - began).toBeGreaterThanOrEqual(timeout);
      }
      expect(js.running).toBe(1);
    },
  );

  test.each(plain)(
    'the timeout of %s starts at the call, even when no result is requested',
    async (name) => {
      const js = open(1);
      const gate = makeGate();
      const timeout = 10;
      const results = start(js, name, waitAt, [gate.file], { timeout });
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(await collectUntilError(results)).toMatchObject([blocked]);
      gate.open();
    },
  );

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

  test('leaving map early starts no further job and lets running ones finish', async () => {
    const js = open(2);
    const opened = makeGate();
    opened.open();
    const gate = makeGate();
    const startedFiles = Array.from({ length: 5 }, () => makeGate().file);
    const argses = startedFiles.map(
      (started, i) => [started, i === 0 ? opened.file : gate.file, i] as const,
    );
    const seen: unknown[] = [];
    for await (const value of js.starmap(announceAndWait, argses as never)) {
      seen.push(value);
      await until('two more to run', () => existsSync(startedFiles[2]!));
      break;
    }
    expect([seen, js.running, freeSlots(js)]).toEqual([[0], 2, 0]);
    gate.open();
    await until('the slots to be free', () => freeSlots(js) === 2);
    expect(startedFiles.map((it) => existsSync(it))).toEqual([
      ...[true, true, true],
      ...[false, false],
    ]);
  });

  test('leaving mapSync early starts no further job and lets running ones finish', async () => {
    const js = open(2);
    const opened = makeGate();
    opened.open();
    const gate = makeGate();
    const startedFiles = Array.from({ length: 5 }, () => makeGate().file);
    const argses = startedFiles.map(
      (started, i) => [started, i === 0 ? opened.file : gate.file] as const,
    );
    for (const _ of js.starmapSync(announceAndWait, argses as never)) break;
    const { running } = js;
    expect(running).toBeGreaterThan(0);
    gate.open();
    await until('the slots to be free', () => freeSlots(js) === 2);
    // The first job, and those that ran when the loop ended.
    expect(startedFiles.map((it) => existsSync(it))).toEqual(
      startedFiles.map((_, i) => i < 1 + running),
    );
  });

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

  test.each(names)('%s throws once the Jobserver is closed', async (name) => {
    const js = open(1);
    const item = name.startsWith('star') ? [1] : 1;
    const early = start(js, name, identity, [item]);
    await js.close();
    expect(await collectUntilError(early)).toMatchObject([closed]);
    const late = async (): Promise<unknown> =>
      next(start(js, name, identity, [item]));
    expect(await rejection(late())).toMatchObject(closed);
  });

  test('closing the Jobserver ends a running map, and its loop may still be left', async () => {
    const js = open(1);
    const opened = makeGate();
    opened.open();
    const gate = makeGate();
    const files = [opened.file, gate.file, gate.file] as never[];
    const results = js.map(waitAt, files);
    await results.next();
    await until('the second to run', () => js.running === 1);
    const closing = js.close();
    gate.open();
    expect(await collectUntilError(results)).toMatchObject([undefined, closed]);
    await closing;

    const other = open(1);
    for await (const _ of other.map(identity, [1, 2])) {
      other.closeSync();
      break;
    }
    await until('the jobs to end', () => other.running === 0);
  });

  test.each(plain)(
    '%s throws AbortError for a signal that is already aborted',
    async (name) => {
      const js = open(1);
      const options = { signal: AbortSignal.abort() };
      const run = async (): Promise<unknown> =>
        next(start(js, name, identity, [1], options));
      expect(await rejection(run())).toMatchObject(aborted);
      expect([js.running, freeSlots(js)]).toEqual([0, 1]);
    },
  );

  test('aborting map ends its running job and starts no further one', async () => {
    const js = open(1);
    const opened = makeGate();
    opened.open();
    const never = makeGate();
    const controller = new AbortController();
    const { signal } = controller;
    const files = [opened.file, never.file, never.file] as never[];
    const results = js.map(waitAt, files, { signal });
    await results.next();
    await until('the second to run', () => js.running === 1);
    const pending = collectUntilError(results);
    controller.abort();
    expect(await pending).toMatchObject([aborted]);
    expect(await next(results)).toBe('done');
    await until('the slot to be free', () => freeSlots(js) === 1);
    expect(existsSync(never.file)).toBe(false);
  });

  test('aborting ends a map that waits for its input', async () => {
    const js = open(1);
    const controller = new AbortController();
    const { signal } = controller;
    const silent = {
      async *[Symbol.asyncIterator]() {
        yield 1;
        await new Promise(() => undefined);
      },
    };
    const results = js.map(identity, silent, { signal });
    expect(await next(results)).toBe(1);
    const pending = rejection(results.next());
    controller.abort();
    const later = new Promise((resolve) => {
      setTimeout(resolve, 2000 * timeoutFactor, 'hangs').unref();
    });
    expect(await Promise.race([pending, later])).toMatchObject(aborted);
  });

  test('the timeout ends a map that waits for its input', async () => {
    const js = open(1);
    const silent = {
      async *[Symbol.asyncIterator]() {
        await new Promise(() => undefined);
        yield 1;
      },
    };
    const results = js.map(identity, silent, { timeout: 20 });
    expect(await rejection(results.next())).toMatchObject(blocked);
    expect(await next(results)).toBe('done');
  });

  test('an error in a callback of another job is reported exactly once during map', async () => {
    const js = open(1);
    const [opened, held, gate] = [makeGate(), makeGate(), makeGate()];
    opened.open();
    const future = await js.submit(waitAt, [gate.file], { consume: 0 });
    let isCalled = false;
    future.whenDone(() => {
      isCalled = true;
      throw new Error('on purpose');
    });
    const caught: unknown[] = [];
    try {
      // The third waits for a slot while the callback throws.
      const files = [opened.file, held.file, held.file] as never[];
      for await (const _ of js.map(waitAt, files)) {
        await until('the second to run', () => js.running === 2);
        gate.open();
        await until('the callback', () => isCalled);
        break;
      }
    } catch (error) {
      caught.push(error);
    }
    try {
      js.reclaimResources();
    } catch (error) {
      caught.push(error);
    }
    held.open();
    expect(caught).toEqual([
      expect.objectContaining({ name: 'CallbackRaised' }),
    ]);
  });

  test('calls that fail after the reader has left cause no unhandledRejection', async () => {
    const node = [...process.execArgv, programs, context];
    const { code, stdout, stderr } = await runNode(node);
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: '["first","Error"]\n',
      stderr: '',
    });
  });

  test('map throws the first error of fn, and its other jobs end', async () => {
    const js = open(2);
    const results = js.map(fail, ['a', 'b']);
    expect(await rejection(results.next())).toMatchObject({ message: 'a' });
    await until('the jobs to end', () => js.running === 0);
  });
}
