import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { badTimeouts } from '../helpers/timeouts.js';
import { until } from '../helpers/until.js';

const blocked = { name: 'Blocked', code: 'ERR_JOBSERVER_BLOCKED' };

/** Slots: how long a submission waits for one. */
export function slotTimeoutContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

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
}
