import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { isRemote, testIf } from '../helpers/context.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';

const closed = { code: 'ERR_JOBSERVER_CLOSED' };
const typeError = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };

/** submit: the checks of its arguments. */
export function submitArgumentContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  test('args that are not a list reject before a slot is taken', async () => {
    const js = open(1);
    for (const args of ['abc', 5, null, {}, true, new Map([[1, 2]]), 5n]) {
      const error = {
        ...typeError,
        message: expect.stringContaining('args'),
      };
      expect(await rejection(js.submit(identity, args as never))).toMatchObject(
        error,
      );
      expect(
        thrown(() => js.submitSync(identity, args as never)),
      ).toMatchObject(error);
    }
    expect([js.running, freeSlots(js)]).toEqual([0, 1]);
  });

  test('a value that is not a function rejects before a slot is taken', async () => {
    const js = open(1);
    for (const fn of [undefined, null, 5, {}, true, Symbol('fn')] as never[]) {
      expect(await rejection(js.submit(fn))).toMatchObject(typeError);
      expect(await rejection(js.run(fn))).toMatchObject(typeError);
      expect(thrown(() => js.submitSync(fn))).toMatchObject(typeError);
    }
    expect([js.running, freeSlots(js)]).toEqual([0, 1]);
  });

  test('options that are not an object reject', async () => {
    const js = open(1);
    for (const options of [5, 'timeout', null, true] as never[]) {
      expect(await rejection(js.submit(identity, [1], options))).toMatchObject(
        typeError,
      );
      expect(thrown(() => js.submitSync(identity, [1], options))).toMatchObject(
        typeError,
      );
    }
  });

  test('args may be any iterable, which is read once, at the call', async () => {
    const js = open(1);
    const gate = makeGate();
    const holder = await js.submit(waitAt, [gate.file]);
    const array: [{ n: number }] = [{ n: 1 }];
    let reads = 0;
    const generated = {
      *[Symbol.iterator]() {
        reads += 1;
        yield 'generated';
      },
    };
    const waiting = [
      js.submit(identity, array),
      js.submit(identity, generated as never),
      js.submit(identity, new Set(['member']) as never),
      js.submit(identity, Object.freeze(['frozen']) as never),
      // The library does not interpret an argument that looks like options.
      js.submit(identity, [{ timeout: 0, fn: 1, args: [] }]),
    ];
    array[0] = { n: 2 };
    gate.open();
    await holder.wait();
    const futures = await Promise.all(waiting);
    expect(await Promise.all(futures.map((each) => each.result()))).toEqual([
      { n: 1 },
      'generated',
      'member',
      'frozen',
      { timeout: 0, fn: 1, args: [] },
    ]);
    expect(reads).toBe(1);
  });

  test('a closed handle is reported after an invalid function and before invalid options', async () => {
    const js = open(1);
    await js.close();
    const refused = (fn: unknown, args: unknown, options: object) =>
      rejection(js.submit(fn as never, args as never, options));
    expect(await refused(5, [1], {})).toMatchObject(typeError);
    expect(await refused(identity, 5, {})).toMatchObject(typeError);
    expect(await refused(identity, [1], { timeout: -1 })).toMatchObject(closed);
    expect(await refused(identity, [1], { consume: 2 })).toMatchObject(closed);
  });

  test('consume accepts only 0, 1 and own', async () => {
    const js = open(1);
    const bad = [2, -1, 99, 0.5, NaN, true, false, '1', 1n, {}, null];
    for (const consume of bad as never[]) {
      const error = {
        name: expect.stringMatching(/^(Type|Range)Error$/),
        message: expect.stringContaining('consume'),
      };
      const options = { consume };
      expect(await rejection(js.submit(identity, [1], options))).toMatchObject(
        error,
      );
      expect(thrown(() => js.submitSync(identity, [1], options))).toMatchObject(
        error,
      );
    }
    expect([js.running, freeSlots(js)]).toEqual([0, 1]);
  });

  // A fork inherits the memory of its parent, so nothing is serialized.
  testIf(isRemote(context))(
    'args that cannot be serialized reject at once, without waiting for a slot',
    async () => {
      const js = open(1);
      const gate = makeGate();
      await js.submit(waitAt, [gate.file]);
      const error = { code: 'ERR_JOBSERVER_NOT_SERIALIZABLE' };
      const args: [unknown] = [{ deep: [() => 1] }];
      expect(await rejection(js.submit(identity, args))).toMatchObject(error);
      expect(thrown(() => js.submitSync(identity, args))).toMatchObject(error);
      expect(js.running).toBe(1);
    },
  );
}
