import type { Context } from '../../dist/context.js';
import { type Jobserver, LostResult, slotNumber } from '../../dist/index.js';
import * as jobs from '../fixtures/slot-number-jobs.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

/** A number that no other job of the pool has. */
export function slotNumberContract(context: Context): void {
  const open = (slots: number): Jobserver => openJobserver({ context, slots });
  const makeGate = useGates();

  test('jobs that run together have the numbers from 0 on, and keep them', async () => {
    const js = open(4);
    const gate = makeGate();
    const numbers: unknown[] = [];
    const heard = js.with({ onReport: (value) => numbers.push(value) });
    const all = [1, 2, 3, 4].map(() => heard.run(jobs.numberAt, gate.file));
    await until('all numbers', () => numbers.length === 4);
    gate.open();
    expect(await Promise.all(all)).toEqual(expect.arrayContaining(numbers));
    expect(numbers.sort()).toEqual([0, 1, 2, 3]);
  });

  test('a job gets the smallest number that is free', async () => {
    const js = open(3);
    const gates = [makeGate(), makeGate()] as const;
    const numbers: unknown[] = [];
    const heard = js.with({ onReport: (value) => numbers.push(value) });
    const first = heard.run(jobs.numberAt, gates[0].file);
    await until('the first number', () => numbers.length === 1);
    const second = heard.run(jobs.numberAt, gates[1].file);
    await until('the second number', () => numbers.length === 2);
    gates[0].open();
    expect(await first).toBe(0);
    expect([await js.run(jobs.number), await js.run(jobs.number)]).toEqual([
      0, 0,
    ]);
    gates[1].open();
    expect(await second).toBe(1);
  });

  test('the number of a job that was killed is free again', async () => {
    const js = open(1);
    const error = await rejection(js.run(jobs.dieWithNumber));
    expect(error).toBeInstanceOf(LostResult);
    expect(await js.run(jobs.number)).toBe(0);
  });

  test('a child that a job leaves behind has no number', async () => {
    const js = open(1);
    const [own, child] = await js.run(jobs.leaveChild);
    expect([own, await js.run(jobs.number)]).toEqual([0, 0]);
    process.kill(child, 'SIGKILL');
  });

  test('a job of a job has a number of its own, also in the same slot', async () => {
    for (const slots of [1, 2]) {
      expect(await open(slots).run(jobs.nestedNumbers)).toEqual([0, 1]);
    }
  });

  test('a job that outlives its submitter does not keep the number of that', async () => {
    const js = open(2);
    const gate = makeGate();
    const error = await rejection(js.run(jobs.dieBeforeOwn, gate.file));
    expect(error).toBeInstanceOf(LostResult);
    expect(await js.run(jobs.number)).toBe(0);
    gate.open();
    await until('the slots to be free', () => freeSlots(js) === 2);
  });

  test('with consume: 0, numbers may reach the number of slots', async () => {
    const js = open(1);
    const gate = makeGate();
    const numbers: unknown[] = [];
    const heard = js.with({ onReport: (value) => numbers.push(value) });
    const holder = heard.run(jobs.numberAt, gate.file);
    await until('the number', () => numbers.length === 1);
    const other = await js.submit(jobs.number, [], { consume: 0 });
    expect(await other.result()).toBe(1);
    gate.open();
    expect(await holder).toBe(0);
  });

  test('each pool has its own numbers', async () => {
    const gate = makeGate();
    const numbers: unknown[] = [];
    const heard = open(1).with({ onReport: (value) => numbers.push(value) });
    const holder = heard.run(jobs.numberAt, gate.file);
    await until('the number', () => numbers.length === 1);
    expect(await open(1).run(jobs.number)).toBe(0);
    gate.open();
    expect(await holder).toBe(0);
  });

  test('outside of a job, there is no number', () => {
    expect(thrown(() => slotNumber())).toMatchObject({
      code: 'ERR_JOBSERVER_NO_JOB',
    });
  });
}
