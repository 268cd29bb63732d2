import { getEventListeners } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../../dist/context.js';
import { Jobserver } from '../../dist/index.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { useGates } from '../helpers/gate.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { until } from '../helpers/until.js';
import { type Limits, longMs, processLimit, runProgram } from './programs.js';
import { withSeed } from './random.js';

const fixtures = resolve('test', 'fixtures', 'stress');

/**
 * Without the set of the selector, which closes when it is idle. Those of earlier test
 * files may disappear at any time, so a test has left none if there are not more.
 */
function openFds(): number {
  return readdirSync('/dev/fd').filter((fd) => !isSelector(fd)).length;
}

function isSelector(fd: string): boolean {
  try {
    return readlinkSync(`/dev/fd/${fd}`).includes('eventpoll');
  } catch {
    return false; // the directory itself, which is closed, or not Linux
  }
}

function timers(): number {
  const all = process.getActiveResourcesInfo();
  return all.filter((kind) => kind === 'Timeout').length;
}

/** Very many submissions, and systems that refuse resources. */
export function limitStress(context: Context): void {
  const makeGate = useGates();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });
  const run = (name: string, limits: Limits = {}): Promise<unknown> =>
    runProgram([join(fixtures, `${name}.mjs`), context], limits);

  test(
    '1900 of 2000 submissions on 2 slots time out or abort, and leave nothing',
    () =>
      withSeed(async (random) => {
        const js = open(2);
        const gate = makeGate();
        const fdsBefore = openFds();
        const holders = [
          await js.submit(waitAt, [gate.file]),
          await js.submit(waitAt, [gate.file]),
        ];
        const timersBefore = timers();
        const shared = Array.from({ length: 10 }, () => new AbortController());
        const own: AbortController[] = [];
        const names: string[] = [];
        const kept: Promise<unknown>[] = [];
        const ended: Promise<unknown>[] = [];
        for (let i = 0; i < 1998; i++) {
          if (i % 20 === 7 && kept.length < 98) {
            kept.push(js.run(identity, i));
            continue;
          }
          const options: { timeout?: number; signal?: AbortSignal } = {};
          const kind = random();
          if (kind < 0.5) options.timeout = random() * 60;
          if (kind > 0.4 && kind < 0.7) {
            options.signal = shared[Math.floor(random() * 10)]!.signal;
          } else if (kind >= 0.7) {
            const controller = new AbortController();
            own.push(controller);
            options.signal = controller.signal;
          }
          ended.push(
            js.submit(identity, [i], options).then(
              () => names.push('started'),
              (error: Error) => names.push(error.name),
            ),
          );
        }
        expect([kept.length, ended.length]).toEqual([98, 1900]);
        const controllers = [...shared, ...own];
        const aborts = controllers.map(async (controller) => {
          await sleep(random() * 60);
          controller.abort();
        });
        await Promise.all([...aborts, ...ended]);
        const count = (name: string): number =>
          names.filter((each) => each === name).length;
        expect(count('Blocked') + count('AbortError')).toBe(1900);
        expect(count('Blocked')).toBeGreaterThan(500);
        expect(count('AbortError')).toBeGreaterThan(500);
        expect([js.running, freeSlots(js)]).toEqual([2, 0]);
        for (const { signal } of controllers) {
          expect(getEventListeners(signal, 'abort')).toEqual([]);
        }
        await until('the timers to end', () => timers() <= timersBefore);

        gate.open();
        for (const holder of holders) await holder.wait();
        const values = await Promise.all(kept);
        expect(values).toEqual(values.map((_, i) => 7 + 20 * i));
        expect([js.running, freeSlots(js)]).toEqual([0, 2]);
        expect(openFds()).toBeLessThanOrEqual(fdsBefore);
      }),
    longMs,
  );

  test('200 Jobservers that are opened and closed leave no descriptor', async () => {
    const before = openFds();
    for (let i = 0; i < 200; i++) {
      const js = new Jobserver({ context, slots: 1 + (i % 7) });
      // A few of them run a job.
      if (i % 50 === 10) expect(await js.run(identity, i)).toBe(i);
      if (i % 50 === 20) js.submitSync(identity, [i]);
      const derived = js.reviseEnv({ STRESS: String(i) });
      if (i % 4 === 0) await js.close();
      else if (i % 4 === 1) js.closeSync();
      else if (i % 4 === 2) await derived[Symbol.asyncDispose]();
      else derived[Symbol.dispose]();
      expect(openFds()).toBeLessThanOrEqual(before);
    }
  });

  test(
    'with few descriptors, jobs wait for the end of other jobs',
    async () => {
      const found = await run('starved', { openFiles: 64 });
      expect(found).toEqual({
        pids: [null, null],
        done: false,
        hasKilled: true,
        killed: ['ERR_JOBSERVER_LOST_RESULT', 'SIGKILL', 0],
        aborted: 'AbortError',
        value: 1,
        refused: 'EMFILE',
        again: 5,
      });
    },
    longMs,
  );

  test(
    '30 jobs on 8 slots succeed with 36 descriptors',
    async () => {
      const expected = Array.from({ length: 30 }, (_, i) => i);
      expect(await run('many-jobs', { openFiles: 36 })).toEqual(expected);
    },
    longMs,
  );

  // The numbers in docs/troubleshooting.md.
  test('a running job uses at most 3 descriptors, a waiting one none', async () => {
    const js = open(4);
    const gate = makeGate();
    await js.run(identity, 0);
    const before = openFds();
    const futures = [];
    for (let i = 0; i < 4; i++) {
      futures.push(await js.submit(waitAt, [gate.file]));
    }
    for (const { pid } of futures) expect(pid).toBeGreaterThan(0);
    const most = before + 4 * (context === 'spawn' ? 2 : 3);
    expect(openFds()).toBeLessThanOrEqual(most);
    const waiting = Array.from({ length: 20 }, (_, i) => js.run(identity, i));
    expect(openFds()).toBeLessThanOrEqual(most);
    gate.open();
    await Promise.all(waiting);
    for (const future of futures) await future.wait();
    expect(openFds()).toBeLessThanOrEqual(before);
  });

  test(
    'a process that runs out of descriptors gets EMFILE, loses no slot and recovers',
    async () => {
      const found = (await run('few-fds', { openFiles: 40 })) as {
        outcomes: Record<string, number>;
        free: number[];
        fds: number[];
      };
      const { EMFILE = 0, value = 0, ...others } = found.outcomes;
      expect(others).toEqual({});
      expect(EMFILE).toBeGreaterThan(5);
      expect(value).toBeGreaterThan(5);
      expect(found.free).toEqual(found.free.map(() => 4));
      expect(found.fds).toEqual(found.fds.map(() => found.fds[0]));
    },
    longMs,
  );

  const { reason, user } = processLimit();
  (reason === undefined ? test : test.skip)(
    'a process that may not start others gets EAGAIN, loses no slot and recovers' +
      (reason === undefined ? '' : ` (${reason})`),
    async () => {
      const limits = user === undefined ? {} : { user };
      const found = await run('few-processes', limits);
      expect(found).toEqual({
        refused: Array.from({ length: 8 }, () => 'EAGAIN'),
        running: 0,
        values: [0, 1, 2, 3],
        fds: 0,
      });
    },
  );

  (reason === undefined && context === 'forkserver' ? test : test.skip)(
    'while too many descriptors are on their way, a job waits for the end of another',
    async () => {
      const limits = user === undefined ? {} : { user };
      const found = await run('fds-on-their-way', { ...limits, openFiles: 64 });
      const result = -constants.errno.EMFILE;
      const value = 1;
      expect(found).toEqual({ result, pid: null, value, isSameZygote: true });
    },
  );

  test(
    'signals that interrupt every call change no result and no timeout',
    async () => {
      const found = (await run('signals')) as { signals: number };
      expect(found).toEqual({
        signals: expect.any(Number),
        sync: [0, 1, 2, 3],
        map: [0, 1, 4, 9, 16, 25],
        async: [0, 1, 2, 3],
        asyncMap: [0, 1, 4, 9, 16, 25],
        large: 4 << 20,
        blocked: ['ERR_JOBSERVER_BLOCKED', 'ERR_JOBSERVER_BLOCKED'],
        wasEarly: false,
        wasLate: false,
        lost: 'SIGKILL',
        free: 2,
      });
      expect(found.signals).toBeGreaterThan(100);
    },
    longMs,
  );
}
