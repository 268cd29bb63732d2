import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import { identity } from '../fixtures/jobs.js';
import {
  announceText,
  closeAllFds,
  delayedBytes,
  textOf,
} from '../fixtures/stress-jobs.js';
import { useFolder } from '../helpers/folder.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { timeoutFactor, until } from '../helpers/until.js';
import { isAlive, stateOf } from '../helpers/processes.js';
import { untilSync } from '../contract/until-sync.js';
import { longMs } from './programs.js';
import { withSeed } from './random.js';

const blocked = { code: 'ERR_JOBSERVER_BLOCKED' };
const lost = { code: 'ERR_JOBSERVER_LOST_RESULT' };
const program = resolve('test', 'fixtures', 'stress', 'killed-parent.mjs');

// How late a busy machine may be.
const slackMs = 1000 * timeoutFactor;

/** Jobs that are killed or stopped, or that close their descriptors. */
export function deathStress(context: Context): void {
  const folder = useFolder();
  const open = (slots: number): Jobserver => openJobserver({ context, slots });

  test(
    'when jobs are killed at random, only killed ones are lost',
    () =>
      withSeed(async (random) => {
        const js = open(4);
        const plans = Array.from({ length: 60 }, (_, index) => ({
          index,
          delayMs: random() * 20,
          length: Math.floor(random() ** 2 * (1 << 20)),
          killAfterMs: random() < 0.5 ? random() * 150 : undefined,
        }));
        const killed = new Set<number>();
        const outcomes = await Promise.allSettled(
          plans.map(async ({ index, delayMs, length, killAfterMs }) => {
            const args: [number, number, number] = [index, delayMs, length];
            const future = await js.submit(delayedBytes, args);
            if (killAfterMs !== undefined) {
              await sleep(killAfterMs);
              if (future.kill('SIGKILL')) killed.add(index);
            }
            return future.result();
          }),
        );
        let lostCount = 0;
        for (const [index, outcome] of outcomes.entries()) {
          if (outcome.status === 'fulfilled') {
            expect(outcome.value.index).toBe(index);
            const { length } = plans[index]!;
            const bytes = Buffer.alloc(length, index);
            expect(bytes.equals(outcome.value.bytes)).toBe(true);
            continue;
          }
          lostCount += 1;
          expect(outcome.reason).toMatchObject({ ...lost, signal: 'SIGKILL' });
          expect([...killed]).toContain(index);
        }
        expect(lostCount).toBeGreaterThan(0);
        expect([js.running, freeSlots(js)]).toEqual([0, 4]);
        const again = [1, 2, 3, 4].map((value) => js.run(identity, value));
        expect(await Promise.all(again)).toEqual([1, 2, 3, 4]);
      }),
    longMs,
  );

  test('waits time out in time while a job is stopped in the middle of its result, which arrives later', async () => {
    const js = open(1);
    const length = 8 << 20;
    const file = join(folder(), 'sending');
    const future = js.submitSync(announceText, [file, length]);
    const pid = future.pid!;
    const timeout = 30;
    const waits: (() => unknown)[] = [
      () => expect(future.waitSync({ timeout })).toBe(false),
      async () => expect(await future.wait({ timeout })).toBe(false),
      () =>
        expect(thrown(() => future.resultSync({ timeout }))).toMatchObject(
          blocked,
        ),
      async () =>
        expect(await rejection(future.result({ timeout }))).toMatchObject(
          blocked,
        ),
    ];
    untilSync('the job to send', () => existsSync(file));
    // The result is larger than the socket holds, so the job sleeps in write.
    untilSync('the socket to be full', () => stateOf(pid) === 'S');
    for (const wait of [...waits, ...waits]) {
      process.kill(pid, 'SIGSTOP');
      untilSync('the job to stop', () => stateOf(pid) === 'T');
      const start = performance.now();
      await wait();
      const passed = performance.now() - start;
      expect(passed).toBeGreaterThanOrEqual(timeout);
      expect(passed).toBeLessThan(timeout + slackMs);
      expect([future.done(), freeSlots(js)]).toEqual([false, 0]);
      process.kill(pid, 'SIGCONT');
      // A stopped job sends nothing, so each round reads at most a full socket.
      untilSync('the job to continue', () => stateOf(pid) !== 'T');
    }
    expect((await future.result()) === textOf(length)).toBe(true);
    expect(freeSlots(js)).toBe(1);
  });

  test.each(['SIGKILL', 'SIGTERM'] as const)(
    'a job that has closed all its descriptors keeps its slot until %s ends it',
    async (signal) => {
      const js = open(1);
      const file = join(folder(), 'closing');
      const future = await js.submit(closeAllFds, [file]);
      const pid = future.pid!;
      await until('the job to begin', () => existsSync(file));
      if (process.platform === 'linux') {
        const fds = `/proc/${pid}/fd`;
        await until('all to be closed', () => readdirSync(fds).length === 0);
      }
      const timeout = 50;
      for (const wait of [
        () => future.wait({ timeout }),
        () => future.waitSync({ timeout }),
      ]) {
        const start = performance.now();
        expect(await wait()).toBe(false);
        const passed = performance.now() - start;
        expect(passed).toBeGreaterThanOrEqual(timeout);
        expect(passed).toBeLessThan(timeout + slackMs);
      }
      expect(await rejection(future.result({ timeout }))).toMatchObject(
        blocked,
      );
      const next = js.submit(identity, [1], { timeout });
      expect(await rejection(next)).toMatchObject(blocked);
      expect([future.done(), js.running, freeSlots(js)]).toEqual([false, 1, 0]);

      expect(future.kill(signal)).toBe(true);
      const error = await rejection(future.result({ timeout: 10_000 }));
      expect(error).toMatchObject({ ...lost, pid, exitCode: null, signal });
      expect([js.running, freeSlots(js)]).toEqual([0, 1]);
      expect(await js.run(identity, 2)).toBe(2);
    },
  );

  // Only Linux sends a signal to the children of a process that dies.
  (process.platform === 'linux' ? test : test.skip)(
    'a killed parent with 4 jobs, each with jobs two levels deep, leaves no process',
    async () => {
      const where = folder();
      const args = [...process.execArgv, program, context, where];
      const parent = spawn(process.execPath, args, { stdio: 'ignore' });
      const exited = once(parent, 'exit');
      const found = new Set<number>();
      const watchdog = setTimeout(() => parent.kill('SIGKILL'), 60_000);
      try {
        const names = (): string[] =>
          readdirSync(where).filter((name) => !name.startsWith('.'));
        await until('12 jobs to run', () => names().length === 12, 50_000);
        for (const name of names()) {
          const pids = readFileSync(join(where, name), 'utf8').split(' ');
          // In the context forkserver, one of the parents is the zygote.
          for (const pid of pids) found.add(Number(pid));
        }
        for (const pid of found) expect(isAlive(pid)).toBe(true);
      } finally {
        parent.kill('SIGKILL');
        clearTimeout(watchdog);
      }
      expect(await exited).toEqual([null, 'SIGKILL']);
      for (const pid of found) {
        await until(`process ${pid} to end`, () => !isAlive(pid));
      }
    },
    longMs,
  );
}
