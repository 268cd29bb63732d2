import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Context } from '../../dist/context.js';
import type {
  Future,
  JobRecord,
  JobUsage,
  Jobserver,
} from '../../dist/index.js';
import { burn, burnAndDie } from '../fixtures/output-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { ofOwnProcess, openJobserver } from '../helpers/jobserver.js';
import { rejection } from '../helpers/thrown.js';

const names = [
  'user',
  'system',
  'peakMemory',
  'minorFaults',
  'majorFaults',
  'voluntarySwitches',
  'involuntarySwitches',
  'wall',
];

/** A job says afterwards what it has used. */
export function usageContract(context: Context): void {
  const open = (): Jobserver => openJobserver({ context, slots: 1 });
  const measuring = (): Jobserver => open().with({ usage: true });
  const cpu = ({ user, system }: Pick<JobUsage, 'user' | 'system'>): number =>
    user + system;

  test('a job that has finished says what it has used', async () => {
    const future = await measuring().submit(burn, [100]);
    expect(future.usage).toBe(undefined);
    const spent = await future.result();
    const usage = future.usage!;
    expect(Object.keys(usage).sort()).toEqual([...names].sort());
    // The clocks of a process and of its end are not the same.
    expect(cpu(usage)).toBeGreaterThan(spent - 30);
    expect(usage.wall).toBeGreaterThan(50);
    expect(usage.peakMemory).toBeGreaterThan(1 << 20);
    for (const name of names) {
      expect(usage[name as keyof JobUsage]).toBeGreaterThanOrEqual(0);
    }
  });

  test('each job says what it has used itself', async () => {
    const js = measuring();
    await js.run(burn, 300);
    const future = await js.submit(identity, [1]);
    await future.result();
    expect(cpu(future.usage!)).toBeLessThan(250);
  });

  test('the record has it as well', async () => {
    const usages: unknown[] = [];
    const note = (record: unknown): void => {
      usages.push((record as JobRecord).usage);
    };
    subscribe('jobserver:done', note);
    try {
      const future = await measuring().submit(identity, [1]);
      await future.result();
      expect(usages).toEqual([future.usage]);
      expect(usages[0]).toBeDefined();
    } finally {
      unsubscribe('jobserver:done', note);
    }
  });

  test('the pool sums up what the processes have used that have ended', async () => {
    const js = openJobserver({ context, slots: 1, jobsPerProcess: 1 });
    expect(cpu(js.usage)).toBe(0);
    const futures: Future<number>[] = [];
    for (let i = 0; i < 3; i++) {
      const future = await js.submit(burn, [30]);
      await future.result();
      futures.push(future);
    }
    const sum = (of: (usage: JobUsage) => number): number =>
      futures.reduce((total, { usage }) => total + of(usage!), 0);
    expect(cpu(js.usage)).toBeCloseTo(sum(cpu), 3);
    expect(js.usage.minorFaults).toBe(sum((usage) => usage.minorFaults));
    const peaks = futures.map(({ usage }) => usage!.peakMemory);
    expect(js.usage.peakMemory).toBe(Math.max(...peaks));
  });

  ofOwnProcess('a job that was lost has used something too', async () => {
    const future = await open().submit(burnAndDie, [50]);
    await rejection(future.result());
    expect(cpu(future.usage!)).toBeGreaterThan(20);
  });

  ofOwnProcess('all attempts of a job count', async () => {
    const js = open();
    const once = await js.submit(burnAndDie, [100]);
    await rejection(once.result());
    const future = await js.with({ retries: 2 }).submit(burnAndDie, [100]);
    await rejection(future.result());
    expect(cpu(future.usage!)).toBeGreaterThan(200);
    expect(cpu(js.usage)).toBeGreaterThan(300);
  });
}
