import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import { type Future, type Jobserver, LostResult } from '../../dist/index.js';
import * as ends from '../fixtures/ending-jobs.js';
import { identity } from '../fixtures/jobs.js';
import * as jobs from '../fixtures/limit-jobs.js';
import { useFolder } from '../helpers/folder.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { isAlive } from '../helpers/processes.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';
import { untilSync } from './until-sync.js';

const aborted = { name: 'AbortError' };

/** A job with a limit ends in time, and its slot is free again. */
export function timeLimitContract(context: Context): void {
  const open = (slots: number): Jobserver => openJobserver({ context, slots });
  const folder = useFolder();
  const started = (name = 'started'): string => join(folder(), name);

  const text = (pid: number | undefined, ms: number): string =>
    `Job ${pid} (stayLong) was ended because it ran for longer than its ` +
    `runTimeout of ${ms} ms`;

  test('a job that runs for too long is ended, and the error says which', async () => {
    const js = open(1);
    const future = await js.with({ runTimeout: 200 }).submit(jobs.stayLong);
    const { pid } = future;
    const error = await rejection(future.result());
    expect(error).toBeInstanceOf(DOMException);
    expect(error).toMatchObject({
      name: 'TimeoutError',
      message: text(pid, 200),
    });
    expect(isAlive(pid!)).toBe(false);
    await until('the slot to be free', () => freeSlots(js) === 1);
    expect(await js.run(identity, 1)).toBe(1);
  });

  test('calls that block the thread end a job that runs for too long', () => {
    const js = open(1);
    const limited = js.with({ runTimeout: 200 });
    const future = limited.submitSync(jobs.stayLong);
    const { pid } = future;
    // Waits for the slot.
    const next = limited.submitSync(jobs.stayLong);
    expect(isAlive(pid!)).toBe(false);
    for (const each of [future, next]) {
      const error = thrown(() => each.resultSync());
      expect(error).toMatchObject({ name: 'TimeoutError' });
    }
    expect(freeSlots(js)).toBe(1);
  });

  test('a job that ends in time has the outcome that it would have without a limit', async () => {
    const js = open(1).with({ runTimeout: 60_000, killGrace: 1 });
    expect(await js.run(identity, 1)).toBe(1);
    const error = await rejection(js.run(ends.fail, 'on purpose'));
    expect(error).toMatchObject({ message: 'on purpose' });
    const lost = await rejection(js.run(ends.die));
    expect(lost).toBeInstanceOf(LostResult);
    expect(lost).toMatchObject({ signal: 'SIGKILL' });
  });

  type Settle = (future: Future<unknown>) => unknown;

  const waits: [string, (isSo: () => boolean) => unknown, Settle][] = [
    [
      'the event loop',
      (isSo) => until('the jobs to start', isSo),
      (future) => rejection(future.result()),
    ],
    [
      'a call that blocks the thread',
      (isSo) => {
        untilSync('the jobs to start', isSo);
      },
      (future) => thrown(() => future.resultSync()),
    ],
  ];

  // Jest gives a fork a copy of `process`, which catches no signals.
  const catching = context === 'fork' ? [] : waits;
  if (catching.length > 0)
    test.each(catching)(
      'SIGKILL follows SIGTERM after killGrace, by %s',
      async (_, wait, settle) => {
        const js = open(2);
        const controller = new AbortController();
        const { signal } = controller;
        const submit = (name: string, killGrace: number): Future<string> =>
          js
            .with({ killGrace })
            .submitSync(jobs.ignoreTermination, [started(name)], { signal });
        const patient = submit('patient', Infinity);
        const hasty = submit('hasty', 20);
        await wait(() =>
          ['patient', 'hasty'].every((it) => existsSync(started(it))),
        );
        controller.abort();
        expect(await settle(hasty)).toMatchObject(aborted);
        expect(patient.done()).toBe(false);
        patient.kill('SIGKILL');
        expect(await settle(patient)).toMatchObject(aborted);
      },
    );

  test('a job that is stopped is ended', async () => {
    const js = open(1);
    const controller = new AbortController();
    const limited = js.with({ killGrace: 20 });
    const future = await limited.submit(jobs.stop, [started()], {
      signal: controller.signal,
    });
    await until('the job to start', () => existsSync(started()));
    controller.abort();
    expect(await rejection(future.result())).toMatchObject(aborted);
    await until('the slot to be free', () => freeSlots(js) === 1);
  });

  test.each(['an abort', 'kill', 'the end of its time'] as const)(
    '%s ends a job whose child holds its sockets and its output',
    async (how) => {
      const js = open(1);
      const controller = new AbortController();
      const { signal } = controller;
      const args: [string] = [started()];
      const isTimed = how === 'the end of its time';
      const limited = js.with({ runTimeout: isTimed ? 1000 : Infinity });
      const future = await limited.submit(jobs.leaveHolder, args, { signal });
      await until('the child', () => existsSync(started()));
      await until('its pid', () => readFileSync(started(), 'utf8') !== '');
      const child = Number(readFileSync(started(), 'utf8'));
      try {
        if (how === 'an abort') controller.abort();
        if (how === 'kill') future.kill('SIGKILL');
        const names = { kill: 'LostResult', 'an abort': 'AbortError' };
        const name = isTimed ? 'TimeoutError' : names[how];
        expect(await rejection(future.result())).toMatchObject({ name });
        expect(isAlive(child)).toBe(true);
        await until('the slot to be free', () => freeSlots(js) === 1);
      } finally {
        process.kill(child, 'SIGKILL');
        rmSync(started());
      }
    },
  );

  test('a handle that is passed to a job has its limits there', async () => {
    const js = open(2);
    const limited = js.with({ runTimeout: 200, killGrace: 100 });
    expect(await js.run(jobs.outcomeOf, limited)).toBe('TimeoutError');
    expect(await js.run(jobs.valueOf, js.with({ runTimeout: 60_000 }))).toBe(7);
  });
}
