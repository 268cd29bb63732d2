import { existsSync } from 'node:fs';
import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import { spanAt, startedAt, waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { useGates } from '../helpers/gate.js';
import {
  freeSlots,
  ofOwnProcess,
  openJobserver,
} from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

const blocked = { name: 'Blocked', code: 'ERR_JOBSERVER_BLOCKED' };

/** The largest number of spans that overlap at one moment. */
function overlap(spans: readonly [start: number, end: number][]): number {
  return Math.max(
    ...spans.map(
      ([moment]) =>
        spans.filter(([start, end]) => start <= moment && moment <= end).length,
    ),
  );
}

/** Slots: how many jobs run at once, and in which order they start. */
export function slotContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

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

  ofOwnProcess(
    'a job starts only after the worker that held its slot has exited',
    async () => {
      const js = open(1);
      const first = await js.submit(identity, [1]);
      const pid = first.pid!;
      await js.submit(identity, [2]);
      expect(thrown(() => process.kill(pid, 0))).toMatchObject({
        code: 'ESRCH',
      });
    },
  );

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

  test('10 concurrent submissions on 4 slots all run', async () => {
    const js = open(4);
    const items = Array.from({ length: 10 }, (_, i) => i);
    const jobs = items.map((item) => js.run(identity, item));
    expect(await Promise.all(jobs)).toEqual(items);
  });

  test('10 submissions on 2 slots all run although no result is read', async () => {
    const js = open(2);
    const futures = [];
    for (let i = 0; i < 5; i++) futures.push(await js.submit(identity, [i]));
    for (let i = 5; i < 10; i++) futures.push(js.submitSync(identity, [i]));
    const values = await Promise.all(futures.map((each) => each.result()));
    expect(values).toEqual(Array.from({ length: 10 }, (_, i) => i));
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
}
