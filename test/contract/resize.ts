import { existsSync } from 'node:fs';
import type { Context } from '../../dist/context.js';
import { type Jobserver, JobserverExecutor } from '../../dist/index.js';
import { startedAt, waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import * as jobs from '../fixtures/resize-jobs.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

const joined = 'ERR_JOBSERVER_JOINED';

/** Jobserver.resize */
export function resizeContract(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  test('more slots start calls that wait', async () => {
    const js = open(1);
    const gate = makeGate();
    const work = [1, 2, 3].map((n) => js.run(waitAt<number>, gate.file, n));
    await until('the first to run', () => js.running === 1);
    js.resize(3);
    expect(js.slots).toBe(3);
    await until('the others to run', () => js.running === 3);
    gate.open();
    expect(await Promise.all(work)).toEqual([1, 2, 3]);
    expect(freeSlots(js)).toBe(3);
  });

  test('fewer slots end no job, and start none until enough have ended', async () => {
    const js = open(3);
    const gates = [makeGate(), makeGate(), makeGate()];
    const held = gates.map(({ file }) => js.run(waitAt, file));
    await until('all to run', () => js.running === 3);
    js.resize(1);
    const waiting = js.submit(identity<number>, [7]);
    const queued = new JobserverExecutor(js).submit(identity<number>, 8);
    for (const [i, gate] of gates.entries()) {
      expect([js.slots, js.running]).toEqual([1, 3 - i]);
      expect(freeSlots(js)).toBe(0);
      if (i === 2) break;
      gate.open();
      await until('a job to end', () => js.running === 2 - i);
    }
    gates[2]!.open();
    expect(await (await waiting).result()).toBe(7);
    expect(await queued).toBe(8);
    await Promise.all(held);
    await until('the slot to be free', () => freeSlots(js) === 1);
  });

  test('free slots are gone at once, and come back with a larger number', async () => {
    const js = open(4);
    for (const slots of [1, 3, 2, 9, 1]) {
      js.resize(slots);
      expect([js.slots, freeSlots(js)]).toEqual([slots, slots]);
    }
    expect(await js.run(identity, 1)).toBe(1);
  });

  test('a second resize counts what the first has not taken', async () => {
    const js = open(4);
    const gate = makeGate();
    const held = [1, 2, 3, 4].map((n) => js.run(waitAt<number>, gate.file, n));
    await until('all to run', () => js.running === 4);
    js.resize(1);
    js.resize(2);
    js.resize(5);
    expect(freeSlots(js)).toBe(1);
    js.resize(3);
    expect(freeSlots(js)).toBe(0);
    gate.open();
    expect(await Promise.all(held)).toEqual([1, 2, 3, 4]);
    await until('three free slots', () => freeSlots(js) === 3);
  });

  test('calls that block the thread take surplus slots as well', async () => {
    const js = open(3);
    const gate = makeGate();
    const held = [1, 2, 3].map((n) =>
      js.submitSync(waitAt<number>, [gate.file, n]),
    );
    js.resize(1);
    gate.open();
    const times = [1, 2, 3].map(() => js.submitSync(startedAt));
    expect(held.map((each) => each.resultSync())).toEqual([1, 2, 3]);
    for (const each of times) each.resultSync();
    expect(freeSlots(js)).toBe(1);
    expect([...js.mapSync(identity<number>, [1, 2, 3])]).toEqual([1, 2, 3]);
  });

  test('a job cannot resize the pool that it runs in', async () => {
    const js = open(2);
    expect(await js.run(jobs.resizeHere)).toEqual([2, joined]);
    expect(await js.run(jobs.resizeGiven, js)).toEqual([2, joined]);
    js.resize(3);
    expect(await js.run(jobs.resizeGiven, js)).toEqual([
      expect.any(Number),
      joined,
    ]);
    expect(await js.run(jobs.resizeOwn)).toEqual([1, 'resized', 4]);
    expect([js.slots, freeSlots(js)]).toEqual([3, 3]);
  });

  test('slots that nested jobs give back are surplus, too', async () => {
    const js = open(3);
    const [gate, ended, shrunk] = [makeGate(), makeGate().file, makeGate()];
    const outer = js.run(jobs.holdTwo, gate.file, ended, shrunk.file);
    await until('the nested jobs to hold slots', () => freeSlots(js) === 0);
    js.resize(1);
    gate.open();
    await until('the nested jobs to end', () => existsSync(ended));
    await until('the slots to be taken', () => freeSlots(js) === 0);
    shrunk.open();
    expect(await outer).toEqual([1, 2, 'ERR_JOBSERVER_BLOCKED']);
    await until('one free slot', () => freeSlots(js) === 1);
    expect(await js.run(identity, 1)).toBe(1);
    expect(freeSlots(js)).toBe(1);
  });

  test('close waits for the jobs and needs no end of the shrink', async () => {
    const js = open(2);
    const gate = makeGate();
    const held = [1, 2].map((n) => js.run(waitAt<number>, gate.file, n));
    await until('all to run', () => js.running === 2);
    js.resize(1);
    const closed = js.close();
    expect(thrown(() => js.resize(2))).toMatchObject({
      code: 'ERR_JOBSERVER_CLOSED',
    });
    gate.open();
    await Promise.all([closed, ...held]);
    const other = open(2);
    const future = await other.submit(waitAt, [gate.file]);
    other.resize(1);
    other.closeSync();
    await future.result();
  });

  test.each([0, 4097, -1, 1.5, NaN, Infinity])(
    '%p slots are refused',
    (slots) => {
      const js = open(1);
      expect(thrown(() => js.resize(slots))).toMatchObject({
        code: 'ERR_OUT_OF_RANGE',
        message: expect.stringContaining('`slots`'),
      });
      expect([js.slots, freeSlots(js)]).toEqual([1, 1]);
    },
  );

  test('what is no number is refused, and 4096 slots are not', () => {
    const js = open(1);
    for (const slots of [undefined, null, '2', {}, 2n]) {
      expect(thrown(() => js.resize(slots as never))).toMatchObject({
        code: 'ERR_INVALID_ARG_TYPE',
      });
    }
    js.resize(4096);
    expect(freeSlots(js)).toBe(4096);
    js.resize(1);
    expect(freeSlots(js)).toBe(1);
  });
}
