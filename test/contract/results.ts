import { existsSync } from 'node:fs';
import { inspect, types } from 'node:util';
import { pathToFileURL } from 'node:url';
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib';
import type { Context } from '../../dist/context.js';
import {
  Blocked,
  CallbackRaised,
  type Jobserver,
  LostResult,
  inline,
} from '../../dist/index.js';
import { returnBytes } from '../fixtures/ending-jobs.js';
import { announceAndWait } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import * as jobs from '../fixtures/result-jobs.js';
import { hasEventLoop, isRemote, testIf } from '../helpers/context.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { rejection } from '../helpers/thrown.js';
import { timeoutFactor, until } from '../helpers/until.js';

/** Values and errors arrive as the job produced them. */
export function resultContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots = 2): Jobserver => openJobserver({ context, slots });
  const thrownBy = (promise: Promise<unknown>): Promise<unknown> =>
    promise.then(
      () => {
        throw new Error('The promise resolved');
      },
      (error: unknown) => error,
    );

  test('values of all kinds arrive unchanged', async () => {
    const got = await open().run(jobs.returnAllKinds);
    const twice = got['twice'] as [unknown, unknown];
    const cyclic = got['cyclic'] as { self: unknown };
    expect(twice[0]).toBe(twice[1]);
    expect(cyclic.self).toBe(cyclic);
    expect(Object.is(got['minusZero'], -0)).toBe(true);
    expect(Buffer.isBuffer(got['noBytes'])).toBe(true);
    const expected = jobs.returnAllKinds();
    const options = { depth: null };
    delete got['cyclic'];
    delete expected['cyclic'];
    expect(inspect(got, options)).toBe(inspect(expected, options));
  });

  test.each([undefined, null, 0, -0, NaN, '', false, 3n])(
    '%p arrives unchanged as an argument and as a result',
    async (value) => {
      const js = open();
      const got = await js.run(identity<unknown>, value);
      expect(Object.is(got, value)).toBe(true);
    },
  );

  test('a function from inline runs without being exported', async () => {
    const js = open();
    const double = inline((n: number) => n * 2);
    expect(await js.run(double, 21)).toBe(42);
    const future = js.submitSync(double, [4]);
    expect(future.resultSync()).toBe(8);
    const failing = js.run(inline(() => JSON.parse('{')));
    expect(await thrownBy(failing)).toBeInstanceOf(SyntaxError);
  });

  test('every call of result gives the same object', async () => {
    const future = await open().submit(jobs.returnAllKinds);
    const first = await future.result();
    expect(await future.result()).toBe(first);
    expect(future.resultSync()).toBe(first);
  });

  test('a thrown error keeps its class, fields, cause and stack', async () => {
    const future = await open().submit(jobs.throwDetailedError);
    const error = (await thrownBy(future.result())) as Error;
    expect(error).toBeInstanceOf(TypeError);
    expect(types.isNativeError(error)).toBe(true);
    expect(error).toMatchObject({
      name: 'MyError',
      message: 'outer',
      code: 'E_MINE',
      extra: { list: [1, 2] },
    });
    expect(error).not.toHaveProperty('socket');
    expect(error.cause).toBeInstanceOf(RangeError);
    expect(error.stack).toContain('throwDetailedError');
    expect(await thrownBy(future.result())).toBe(error);
    expect(await future.wait()).toBe(true);
  });

  test('a thrown error of a class without a name of its own is shown with the name of the class', async () => {
    const error = await thrownBy(open().run(jobs.throwUnnamed));
    expect(error).toBeInstanceOf(RangeError);
    expect(inspect(error)).toMatch(/^Unnamed \[RangeError\]: of a class\n/);
  });

  test('an AggregateError keeps its errors', async () => {
    const error = await thrownBy(open().run(jobs.throwAggregate));
    expect(error).toBeInstanceOf(AggregateError);
    const { errors } = error as AggregateError;
    expect(errors[0]).toBeInstanceOf(SyntaxError);
    expect(errors[1]).toMatchObject({ message: 'b' });
  });

  test.each([42, null, undefined, 'text', { a: 1 }])(
    'a job that throws %p rejects with this value',
    async (value) => {
      const js = open();
      expect(await thrownBy(js.run(jobs.throwThis, value))).toEqual(value);
    },
  );

  test.each(['function', 'symbol', 'promise', 'proxy', 'nested'])(
    'a job that throws a value that cannot be sent rejects with a TypeError (%s)',
    async (kind) => {
      const error = await thrownBy(open().run(jobs.throwUnsendable, kind));
      expect(error).toBeInstanceOf(TypeError);
      expect(error).toMatchObject({ code: 'ERR_JOBSERVER_NOT_SERIALIZABLE' });
    },
  );

  test('a returned error is a value', async () => {
    expect(await open().run(jobs.returnError)).toBeInstanceOf(URIError);
  });

  test('errors of the library keep their class', async () => {
    const js = open();
    const run = (kind: string): Promise<unknown> =>
      thrownBy(js.run(jobs.throwLibraryError, kind));
    expect(await run('Blocked')).toBeInstanceOf(Blocked);
    const raised = await run('CallbackRaised');
    expect(raised).toBeInstanceOf(CallbackRaised);
    expect(raised).toMatchObject({ seqno: 7, cause: { message: 'why' } });
    const lost = await run('LostResult');
    expect(lost).toBeInstanceOf(LostResult);
    expect(lost).toMatchObject({ pid: 1, exitCode: 3, signal: null });
  });

  test.each([
    ['a nested function', jobs.returnFunctionWithin, /deep\[0\]\.fn/],
    ['a value that is nested too deeply', jobs.returnTooDeep, /result/],
    ['a getter that throws', jobs.returnThrowingGetter, /value/],
  ])('%s as a result rejects this future only', async (_, job, path) => {
    const js = open();
    await expect(js.run(job)).rejects.toMatchObject({
      code: 'ERR_JOBSERVER_NOT_SERIALIZABLE',
      message: expect.stringMatching(path),
    });
    expect(await js.run(identity, 1)).toBe(1);
  });

  test('a job that returns an object of its process rejects, and says what to return', async () => {
    const js = open();
    for (const [kind, advice] of Object.entries(jobs.substitutes)) {
      const refusal = await rejection(js.run(jobs.returnHostObject, kind));
      expect(refusal).toMatchObject({
        code: 'ERR_JOBSERVER_NOT_SERIALIZABLE',
        message: expect.stringContaining(
          `result.deep.get('it')[0] is an instance of ${kind}: send ${advice}`,
        ),
        cause: { name: 'DataCloneError' },
      });
    }
    expect(await js.run(identity, 1)).toBe(1);
  });

  testIf(isRemote(context))(
    'an argument that is an object of this process rejects submit',
    async () => {
      const js = open(1);
      for (const [kind, advice] of Object.entries(jobs.substitutes)) {
        const value = jobs.returnHostObject(kind);
        await expect(
          js.submit(identity<unknown>, [value]),
        ).rejects.toMatchObject({
          code: 'ERR_JOBSERVER_NOT_SERIALIZABLE',
          message: expect.stringContaining(
            `args[0].deep.get('it')[0] is an instance of ${kind}: send ${advice}`,
          ),
          cause: { name: 'DataCloneError' },
        });
      }
      expect(freeSlots(js)).toBe(1);
    },
  );

  testIf(isRemote(context))(
    'an argument that cannot be serialized rejects submit and takes no slot',
    async () => {
      const js = open(1);
      await expect(
        js.submit(identity<unknown>, [{ log: () => 1 }]),
      ).rejects.toMatchObject({
        code: 'ERR_JOBSERVER_NOT_SERIALIZABLE',
        message: expect.stringMatching(/args\[0\]\.log/),
      });
      expect(freeSlots(js)).toBe(1);
      const future = await js.submit(identity, [1]);
      await expect(js.run(identity<unknown>, future)).rejects.toThrow(
        TypeError,
      );
      await future.wait();
    },
  );

  testIf(hasEventLoop(context))(
    'a promise or thenable that a job returns is awaited',
    async () => {
      const js = open();
      expect(await js.run(jobs.resolveLater, 'late')).toBe('late');
      expect(await js.run(jobs.thenable)).toBe(8);
    },
  );

  testIf(isRemote(context))(
    'a function may be an export, a URL, a string or a built-in',
    async () => {
      const js = open();
      expect(await js.run(jobs.Tools.double, 4)).toBe(8);
      const file = pathToFileURL(require.resolve('../fixtures/result-jobs.js'));
      const url = new URL('#Tools.double', file);
      expect(await js.run(url, 5)).toBe(10);
      expect(await js.run(url.href, 6)).toBe(12);
      expect(await js.run(Math.hypot, 3, 4)).toBe(5);
      const zipped = await js.run(brotliCompressSync, Buffer.from('text'));
      expect(brotliDecompressSync(zipped).toString()).toBe('text');
    },
  );

  testIf(isRemote(context))(
    'a function that no worker can import is rejected',
    async () => {
      const js = open();
      const refused = { code: 'ERR_JOBSERVER_FUNCTION' };
      await expect(js.run(jobs.Tools as never)).rejects.toMatchObject(refused);
      await expect(js.run(identity.bind(null) as never)).rejects.toMatchObject(
        refused,
      );
      await expect(js.run('./no-such-file.js#job')).rejects.toMatchObject(
        refused,
      );
    },
  );

  testIf(isRemote(context))('arguments are captured at the call', async () => {
    const js = open(1);
    const holder = await js.submit(jobs.resolveLater, ['holds']);
    const item = { n: 1 };
    const args: [{ n: number }] = [item];
    const submitted = js.submit(identity, args);
    item.n = 2;
    args.length = 0 as never;
    expect(await holder.result()).toBe('holds');
    expect(await (await submitted).result()).toEqual({ n: 1 });
  });

  test(
    'an argument and a result of 64 MiB arrive intact while the event loop keeps running',
    async () => {
      const bytes = Buffer.alloc(64 << 20, 9);
      const [started, gate] = [makeGate().file, makeGate()];
      const sent = open().run(
        announceAndWait<Buffer>,
        started,
        gate.file,
        bytes,
      );
      await until('the argument to arrive', () => existsSync(started));
      // Only an event loop that runs opens the gate.
      setTimeout(gate.open, 10);
      const got = await sent;
      expect(got.length).toBe(bytes.length);
      expect(bytes.equals(got)).toBe(true);
    },
    120_000 * timeoutFactor,
  );

  test('large results that are not read do not block later submissions', () => {
    const js = open(2);
    const futures = [1, 2, 3, 4, 5].map((n) =>
      js.submitSync(returnBytes, [n << 20]),
    );
    const lengths = futures.map((future) => future.resultSync().length);
    expect(lengths).toEqual([1, 2, 3, 4, 5].map((n) => n << 20));
  });
}
