import { existsSync } from 'node:fs';
import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import { spanAt, startedAt, waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { isRemote, testIf } from '../helpers/context.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { badTimeouts } from '../helpers/timeouts.js';
import { timeoutFactor, until } from '../helpers/until.js';
import { admissionContract } from './admission.js';
import { constructionContract } from './construction.js';
import { recoveryContract } from './recovery.js';

const blocked = { name: 'Blocked', code: 'ERR_JOBSERVER_BLOCKED' };
const closed = { code: 'ERR_JOBSERVER_CLOSED' };
const typeError = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };

/** The largest number of spans that overlap at one moment. */
function overlap(spans: readonly [start: number, end: number][]): number {
  return Math.max(
    ...spans.map(
      ([moment]) =>
        spans.filter(([start, end]) => start <= moment && moment <= end).length,
    ),
  );
}

/** Slots: how many jobs run at once, and how submissions wait for a slot. */
export function slotContract(context: Context): void {
  jest.setTimeout(30_000 * timeoutFactor);
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  describe('construction', () => constructionContract(context));
  describe('release', () => recoveryContract(context));
  describe('sleep gate', () => admissionContract(context));

  test.each([4, 2, 1])(
    '%d slots run exactly that many jobs at once',
    async (slots) => {
      const js = open(slots);
      const gate = makeGate();
      const startedFiles = Array.from(
        { length: slots + 2 },
        () => makeGate().file,
      );
      const jobs = startedFiles.map((started) =>
        js.run(spanAt, started, gate.file),
      );
      const countStarted = (): number =>
        startedFiles.filter((it) => existsSync(it)).length;
      await until(`${slots} jobs to run`, () => countStarted() === slots);
      expect(js.running).toBe(slots);
      expect(freeSlots(js)).toBe(0);
      expect(await rejection(js.submit(identity, [1], { timeout: 0 }))).toEqual(
        expect.objectContaining(blocked),
      );
      expect(countStarted()).toBe(slots);
      gate.open();
      expect(overlap(await Promise.all(jobs))).toBe(slots);
    },
  );

  test('a job starts only after the worker that held its slot has exited', async () => {
    const js = open(1);
    const first = await js.submit(identity, [1]);
    const pid = first.pid!;
    await js.submit(identity, [2]);
    expect(thrown(() => process.kill(pid, 0))).toMatchObject({ code: 'ESRCH' });
  });

  test('submissions that wait for a slot start in the order of their calls', async () => {
    const js = open(1);
    const gate = makeGate();
    await js.submit(waitAt, [gate.file]);
    const order: number[] = [];
    const starts = Array.from({ length: 5 }, async (_, i) => {
      const future = await js.submit(startedAt);
      order.push(i);
      return future.result();
    });
    gate.open();
    const times = await Promise.all(starts);
    expect(order).toEqual([0, 1, 2, 3, 4]);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  test('submitSync waits behind earlier submissions', async () => {
    const js = open(1);
    const gate = makeGate();
    await js.submit(waitAt, [gate.file]);
    const before = [js.run(startedAt), js.run(startedAt)];
    gate.open();
    const last = js.submitSync(startedAt).resultSync();
    const times = [...(await Promise.all(before)), last];
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  test('a later submission does not overtake a waiting one, even when a slot is almost free', async () => {
    const js = open(1);
    const gate = makeGate();
    const holder = await js.submit(waitAt, [gate.file]);
    const waiting = js.submit(startedAt);
    gate.open();
    await until('the job to be done', () => holder.done());
    const overtaker = js.submit(startedAt);
    const [first, second] = await Promise.all([waiting, overtaker]);
    expect(await first.result()).toBeLessThan(await second.result());
  });

  test('50 concurrent submissions on 4 slots all run', async () => {
    const js = open(4);
    const items = Array.from({ length: 50 }, (_, i) => i);
    const jobs = items.map((item) => js.run(identity, item));
    expect(await Promise.all(jobs)).toEqual(items);
  });

  test('20 submissions on 2 slots all run although no result is read', async () => {
    const js = open(2);
    const futures = [];
    for (let i = 0; i < 10; i++) futures.push(await js.submit(identity, [i]));
    for (let i = 10; i < 20; i++) futures.push(js.submitSync(identity, [i]));
    const values = await Promise.all(futures.map((each) => each.result()));
    expect(values).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  test('the event loop keeps running while submit waits', async () => {
    const js = open(1);
    const gate = makeGate();
    await js.submit(waitAt, [gate.file]);
    const waiting = js.submit(identity, [1]);
    // Only a running event loop opens the gate.
    setTimeout(() => gate.open(), 20);
    expect(await (await waiting).result()).toBe(1);
  });

  test('a job with consume 0 takes no slot and releases none', async () => {
    const js = open(1);
    const gate = makeGate();
    const options = { consume: 0, timeout: 0 } as const;
    const holder = await js.submit(waitAt, [gate.file, 'held']);
    const beside = await js.submit(identity, ['beside'], options);
    const besideSync = js.submitSync(identity, ['sync'], options);
    expect([await beside.result(), besideSync.resultSync()]).toEqual([
      'beside',
      'sync',
    ]);
    expect(freeSlots(js)).toBe(0);
    gate.open();
    expect(await holder.result()).toBe('held');
    const mixed = ([0, 1, 0, 1] as const).map((consume) =>
      js.submit(identity, [consume], { consume }),
    );
    const futures = await Promise.all(mixed);
    expect(await Promise.all(futures.map((it) => it.result()))).toEqual([
      0, 1, 0, 1,
    ]);
    expect(freeSlots(js)).toBe(1);
  });

  test('consume accepts only 0 and 1', async () => {
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

  test('submit with timeout 0 rejects with Blocked when no slot is free', async () => {
    const js = open(1);
    const gate = makeGate();
    const options = { timeout: 0 };
    const holder = await js.submit(waitAt, [gate.file], options);
    expect(await rejection(js.submit(identity, [1], options))).toMatchObject(
      blocked,
    );
    expect(thrown(() => js.submitSync(identity, [1], options))).toMatchObject(
      blocked,
    );
    expect([holder.done(), js.running]).toEqual([false, 1]);
    gate.open();
    await holder.wait();
    expect(js.submitSync(identity, [2], options).resultSync()).toBe(2);
  });

  test('a wait for a slot never times out early', async () => {
    const js = open(1);
    await js.submit(waitAt, [makeGate().file]);
    for (const timeout of [0.5, 20.25]) {
      let start = performance.now();
      const error = await rejection(js.submit(identity, [1], { timeout }));
      expect(performance.now() - start).toBeGreaterThanOrEqual(timeout);
      expect(error).toMatchObject(blocked);

      start = performance.now();
      const sync = thrown(() => js.submitSync(identity, [1], { timeout }));
      expect(performance.now() - start).toBeGreaterThanOrEqual(timeout);
      expect(sync).toMatchObject(blocked);
    }
  });

  test('the timeout starts at the call, not at the next turn of the event loop', async () => {
    const js = open(1);
    await js.submit(waitAt, [makeGate().file]);
    const order: string[] = [];
    const late = (name: string, timeout: number): Promise<unknown> =>
      rejection(js.submit(identity, [1], { timeout })).then(() =>
        order.push(name),
      );
    const first = late('first', 50);
    const end = performance.now() + 60;
    while (performance.now() < end);
    await Promise.all([first, late('second', 30)]);
    expect(order).toEqual(['first', 'second']);
  });

  test('submissions that time out start no job and keep no slot', async () => {
    const js = open(1);
    const gate = makeGate();
    const holder = await js.submit(waitAt, [gate.file]);
    const late = Array.from({ length: 50 }, (_, i) =>
      rejection(js.submit(identity, [i], { timeout: 1 + (i % 5) })),
    );
    for (const error of await Promise.all(late)) {
      expect(error).toMatchObject(blocked);
    }
    expect(js.running).toBe(1);
    gate.open();
    await holder.wait();
    expect(freeSlots(js)).toBe(1);
    expect(await js.run(identity, 1)).toBe(1);
  });

  test('a slot that becomes free at a deadline is never lost', async () => {
    const js = open(1);
    for (let round = 0; round < 4; round++) {
      const gate = makeGate();
      await js.submit(waitAt, [gate.file]);
      const timeouts = Array.from({ length: 40 }, (_, i) => 1 + i);
      gate.open();
      const settled = await Promise.allSettled(
        timeouts.map((timeout) => js.submit(identity, [1], { timeout })),
      );
      for (const each of settled) {
        if (each.status === 'rejected') {
          expect(each.reason).toMatchObject(blocked);
        } else {
          await each.value.wait();
        }
      }
      await until('the slot to be free', () => freeSlots(js) === 1);
    }
  });

  test('an invalid timeout rejects before a slot is taken', async () => {
    const js = open(1);
    for (const [timeout, error] of badTimeouts) {
      const options = { timeout } as never;
      expect(await rejection(js.submit(identity, [1], options))).toMatchObject(
        error,
      );
      expect(thrown(() => js.submitSync(identity, [1], options))).toMatchObject(
        error,
      );
    }
    expect([js.running, freeSlots(js)]).toEqual([0, 1]);
  });

  test('the timeouts null and undefined wait without limit, and -0 acts as 0', async () => {
    const js = open(1);
    const gate = makeGate();
    await js.submit(waitAt, [gate.file]);
    expect(
      await rejection(js.submit(identity, [1], { timeout: -0 })),
    ).toMatchObject(blocked);
    const waiting = [null, undefined].map((timeout) =>
      js.submit(identity, [1], { timeout } as never),
    );
    gate.open();
    for (const each of waiting) expect(await (await each).result()).toBe(1);
  });

  test('a timeout of more than 24 days does not expire at once', async () => {
    const js = open(1);
    const gate = makeGate();
    await js.submit(waitAt, [gate.file]);
    const waiting = [2 ** 31, 2 ** 40, Number.MAX_VALUE].map((timeout) =>
      js.submit(identity, [timeout], { timeout }),
    );
    const settled = Promise.race(waiting).then(() => 'settled');
    const later = new Promise((resolve) => setTimeout(resolve, 20, 'later'));
    expect(await Promise.race([settled, later])).toBe('later');
    gate.open();
    for (const each of waiting) await (await each).wait();
    const timeout = 2 ** 31;
    expect(js.submitSync(identity, [1], { timeout }).resultSync()).toBe(1);
  });

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
