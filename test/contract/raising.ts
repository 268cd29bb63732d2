import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../../dist/context.js';
import { CallbackRaised, type Jobserver } from '../../dist/index.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';
import {
  failure,
  ofClosing,
  ofFuture,
  ofJobserver,
  useRaising,
} from './raising-setup.js';

/** whenDone: callbacks that throw, and the call that reports it. */
export function raisingContract(context: Context): void {
  const makeGate = useGates();
  const submitRaising = useRaising();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  test.each([...ofFuture, ...ofJobserver, ...ofClosing])(
    'what a callback throws while no call waits is thrown by the next %s',
    async (name, observe) => {
      const js = open(1);
      const cause = new Error('on purpose');
      const { future, gate, called } = await submitRaising(js, cause);
      gate.open();
      await until('the event loop to call back', () => called.length > 0);
      // Time in which the other callback would run.
      await sleep(20);
      expect(called).toEqual([0]);

      const error = await failure(() => observe(js, future));
      expect(error).toBeInstanceOf(CallbackRaised);
      expect(error).toMatchObject({ seqno: 0, cause });
      expect((error as Error).cause).toBe(cause);
      expect(js.running).toBe(0);
      await until('the other callbacks', () => called.length > 1);
      expect(called).toEqual([0, 1]);
      expect(await future.result()).toBe('value');
      if (name.startsWith('close')) return;
      expect(await js.run(identity, 1)).toBe(1);
    },
  );

  const blocking = [...ofFuture].filter(([name]) => name !== 'done');

  test.each(blocking)(
    'what a callback throws is thrown by the %s that finishes the job',
    async (name) => {
      const js = open(1);
      const { future, gate, called } = await submitRaising(js, 'on purpose');
      const observe = (): unknown =>
        future[name as 'wait' | 'waitSync' | 'result' | 'resultSync']();
      const pending = name.endsWith('Sync') ? undefined : failure(observe);
      gate.open();
      expect(await (pending ?? failure(observe))).toMatchObject({
        name: 'CallbackRaised',
        seqno: 0,
        cause: 'on purpose',
      });
      expect(called[0]).toBe(0);
      expect(await observe()).toBe(name.startsWith('wait') ? true : 'value');
      expect(called).toEqual([0, 1]);
    },
  );

  test.each([...ofFuture, ['reclaimResources', ofJobserver[3]![1]] as const])(
    'five calls of %s report five callbacks that throw, without the event loop',
    async (name, observe) => {
      const js = open(1);
      const causes = ['a', 'b', 'c', 'd', 'e'];
      const { future, gate, called } = await submitRaising(js, ...causes);
      gate.open();
      await until('the event loop to call back', () => called.length > 0);
      const isSync = !['wait', 'result'].includes(name);
      for (const [seqno, cause] of causes.entries()) {
        const error = isSync
          ? thrown(() => observe(js, future))
          : await failure(() => observe(js, future));
        expect(error).toMatchObject({ name: 'CallbackRaised', seqno, cause });
        expect(called.length).toBeLessThanOrEqual(seqno + 2);
      }
      await observe(js, future);
      expect(called).toEqual([0, 1, 2, 3, 4, 5]);
    },
  );

  test('submit rejects once for each callback that throws, and starts no job', async () => {
    const js = open(1);
    const { future, gate, called } = await submitRaising(js, 'a', 'b');
    gate.open();
    await until('the event loop to call back', () => called.length > 0);
    for (const [seqno, cause] of ['a', 'b'].entries()) {
      const error = await rejection(js.submit(identity, [1]));
      expect(error).toMatchObject({ name: 'CallbackRaised', seqno, cause });
      expect([js.running, freeSlots(js)]).toEqual([0, 1]);
    }
    expect(await js.run(identity, 1)).toBe(1);
    expect([called, await future.result()]).toEqual([[0, 1, 2], 'value']);
  });

  test('the cause is the thrown value, of any type', async () => {
    const js = open(1);
    const causes = ['text', undefined, null, 42, { an: 'object' }];
    const { future, gate } = await submitRaising(js, ...causes);
    gate.open();
    for (const cause of causes) {
      const error = await rejection(future.wait());
      expect(Object.hasOwn(error as object, 'cause')).toBe(true);
      expect((error as Error).cause).toBe(cause);
    }
    expect(await future.wait()).toBe(true);
  });

  test('for each callback that throws, exactly one of several waiting calls rejects', async () => {
    const js = open(1);
    for (const causes of [['a'], ['a', 'b']]) {
      const { future, gate, called } = await submitRaising(js, ...causes);
      const settled = Promise.allSettled([
        future.wait(),
        future.result(),
        future.wait(),
        future.result(),
      ]);
      gate.open();
      const reasons = (await settled).flatMap((each) =>
        each.status === 'rejected' ? [each.reason] : [],
      );
      expect(reasons.map((reason) => reason.cause)).toEqual(causes);
      expect(reasons.map((reason) => reason.seqno)).toEqual(
        causes.map((_, i) => i),
      );
      expect(called).toEqual([...causes.keys(), causes.length]);
    }
  });

  test('exactly one of several waiting submissions rejects, and no slot is lost', async () => {
    const js = open(1);
    const { gate, called } = await submitRaising(js, 'on purpose');
    const waiting = [1, 2, 3].map((n) => js.run(identity, n));
    gate.open();
    const settled = await Promise.allSettled(waiting);
    const reasons = settled.flatMap((each) =>
      each.status === 'rejected' ? [each.reason] : [],
    );
    expect(reasons).toEqual([
      expect.objectContaining({ name: 'CallbackRaised', cause: 'on purpose' }),
    ]);
    expect(called).toEqual([0, 1]);
    await until('the slot to be free', () => freeSlots(js) === 1);
  });

  test('a submission delayed by its sleep gate rejects, and no slot is lost', async () => {
    const js = open(2);
    const { gate } = await submitRaising(js, 'on purpose');
    const delayed = js.replaceSleep(() => 5).submit(identity, [1]);
    gate.open();
    expect(await rejection(delayed)).toMatchObject({ cause: 'on purpose' });
    expect(freeSlots(js)).toBe(2);
  });

  test('submitSync throws what a callback throws while it waits', async () => {
    const js = open(1);
    const { future, gate, called } = await submitRaising(js, 'on purpose');
    gate.open();
    expect(thrown(() => js.submitSync(identity, [1]))).toMatchObject({
      name: 'CallbackRaised',
      cause: 'on purpose',
    });
    expect([js.running, freeSlots(js)]).toEqual([0, 1]);
    expect(js.submitSync(identity, [2]).resultSync()).toBe(2);
    await future.wait();
    expect(called).toEqual([0, 1]);
  });

  test('a call on another future does not throw', async () => {
    const js = open(2);
    const { future, gate, called } = await submitRaising(js, 'on purpose');
    const otherGate = makeGate();
    const other = await js.submit(waitAt, [otherGate.file, 'other']);
    other.whenDone(() => called.push(99));
    gate.open();
    await until('the event loop to call back', () => called.length > 0);
    otherGate.open();
    expect(await other.result()).toBe('other');
    expect([other.done(), called]).toEqual([true, [0, 99]]);
    expect(thrown(() => future.done())).toMatchObject({ cause: 'on purpose' });
    expect(future.done()).toBe(true);
  });

  test('failures in callbacks of several futures are thrown one by one, each once', async () => {
    const js = open(3);
    const all = [
      await submitRaising(js, 'a', 'b'),
      await submitRaising(js, 'c'),
      await submitRaising(js, 'd', 'e'),
    ];
    for (const { gate } of all) gate.open();
    await until('all to have ended', () => js.running === 0);
    const causes: unknown[] = [];
    for (let calls = 0; calls < 5; calls++) {
      const error = thrown(() => js.reclaimResources());
      causes.push((error as Error).cause);
    }
    expect(causes.sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(js.reclaimResources()).toBe(undefined);
    expect(all.map(({ called }) => called)).toEqual([
      [0, 1, 2],
      [0, 1],
      [0, 1, 2],
    ]);
  });

  test('whenDone throws what its own callback throws, with its number', async () => {
    const js = open(1);
    const future = await js.submit(identity, [1]);
    await future.wait();
    expect(future.whenDone(() => undefined)).toBe(0);
    const raise = (): never => {
      throw new TypeError('on purpose');
    };
    for (const seqno of [1, 2]) {
      expect(thrown(() => future.whenDone(raise))).toMatchObject({
        name: 'CallbackRaised',
        seqno,
        cause: { message: 'on purpose' },
      });
    }
    expect(future.whenDone(() => undefined)).toBe(3);
    expect(await future.result()).toBe(1);
  });

  test('whenDone throws an earlier failure, and its own callback still runs', async () => {
    const js = open(1);
    const { future, gate, called } = await submitRaising(js, 'earlier');
    gate.open();
    await until('the event loop to call back', () => called.length > 0);
    expect(thrown(() => future.whenDone(() => called.push(2)))).toMatchObject({
      seqno: 0,
      cause: 'earlier',
    });
    await until('the others', () => called.length > 1);
    expect(called).toEqual([0, 1, 2]);
    expect(future.done()).toBe(true);
  });

  test('a CallbackRaised that a callback throws is not wrapped again', async () => {
    const js = open(2);
    const inner = await submitRaising(js, 'unseen', 'inner');
    const outer = await js.submit(identity, ['outer']);
    let innermost: unknown;
    outer.whenDone(() => undefined);
    outer.whenDone(() => {
      inner.gate.open();
      expect(thrown(() => inner.future.waitSync())).toMatchObject({ seqno: 0 });
      try {
        inner.future.waitSync();
      } catch (error) {
        innermost = error;
        throw error;
      }
    });
    const error = await rejection(outer.wait());
    expect(error).toMatchObject({ seqno: 1, cause: 'inner' });
    expect(error).toBe(innermost);
    expect(await outer.result()).toBe('outer');
  });
}
