import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import {
  type Jobserver,
  JobserverExecutor,
  LostResult,
  allocate,
  move,
} from '../../dist/index.js';
import { native } from '../../dist/system/binding.js';
import { identity } from '../fixtures/jobs.js';
import * as jobs from '../fixtures/reuse-jobs.js';
import { useFolder } from '../helpers/folder.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { isAlive, stateOf } from '../helpers/processes.js';
import { rejection } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;
const onLinux = hasPrlimit ? test : test.skip;

/** Lets the process have no descriptor besides those that are open. */
function keepFromOpening(pid: number): void {
  const fds = new Set(readdirSync(`/proc/${pid}/fd`));
  let free = 0;
  while (fds.has(String(free))) free += 1;
  const limit = `--nofile=${free}:${free}`;
  execFileSync('prlimit', ['--pid', String(pid), limit]);
}

/** What is promised where a process runs several jobs. */
export function reuseContract(context: Context): void {
  const open = (
    slots = 1,
    options: { jobsPerProcess?: number; idleTimeout?: number } = {},
  ): Jobserver =>
    openJobserver({ jobsPerProcess: Infinity, ...options, context, slots });
  const folder = useFolder();
  const at = (name: string): string => join(folder(), name);
  const make = (name: string): void => {
    writeFileSync(at(name), '');
  };
  const untilMade = (name: string): Promise<void> =>
    until(`${name} to exist`, () => existsSync(at(name)));
  const runs = (): number =>
    existsSync(at('log')) ? readFileSync(at('log'), 'utf8').length / 4 : 0;
  const lossOf = async (promise: Promise<unknown>): Promise<LostResult> => {
    const error = await rejection(promise);
    expect(error).toBeInstanceOf(LostResult);
    return error as LostResult;
  };

  /** A process that has no job, and does not run until `resume`. */
  const stopIdle = async (js: Jobserver): Promise<number> => {
    const pid = await js.run(jobs.pid);
    process.kill(pid, 'SIGSTOP');
    await until('it to stop', () => stateOf(pid) === 'T');
    return pid;
  };

  test('jobs share a process, and one that ends is replaced', async () => {
    const js = open(1, { jobsPerProcess: 3 });
    const pids = [];
    for (let i = 0; i < 7; i++) pids.push(await js.run(jobs.pid));
    const [first, , , second, , , third] = pids;
    expect(pids).toEqual([
      ...[first, first, first],
      ...[second, second, second, third],
    ]);
    expect(new Set(pids).size).toBe(3);
  });

  test('fresh and re-used jobs share the slots of one pool', async () => {
    const js = open(1);
    const fresh = js.with({ jobsPerProcess: 1 });
    const reused = await js.run(jobs.pid);
    const own = await fresh.run(jobs.pid);
    expect(own).not.toBe(reused);
    expect(await fresh.run(jobs.pid)).not.toBe(own);
    expect(await js.run(jobs.pid)).toBe(reused);
  });

  test('each slot has a process, and blocking calls use them too', async () => {
    const js = open(2);
    const first = js.submitSync(jobs.logAndWait, [
      ...[at('log'), at('a'), at('gate')],
    ] as [string, string, string]);
    const second = js.submitSync(jobs.pid);
    const pid = second.resultSync();
    make('gate');
    expect(first.resultSync()).not.toBe(pid);
    const both = [first.resultSync(), pid];
    expect(both).toContain(js.submitSync(jobs.pid).resultSync());
    expect(both).toContain(await js.run(jobs.pid));
    expect([...js.mapSync(identity, [1, 2, 3])]).toEqual([1, 2, 3]);
  });

  test('an idle process holds no slot', async () => {
    const js = open(1);
    const pid = await js.run(jobs.pid);
    expect([freeSlots(js), js.running, isAlive(pid)]).toEqual([1, 0, true]);
  });

  test('an idle process ends after idleTimeout', async () => {
    const js = open(1, { idleTimeout: 50 });
    const pid = await js.run(jobs.pid);
    await until('its end', () => stateOf(pid) === 'X');
    expect(await js.run(jobs.pid)).not.toBe(pid);
  });

  test('map and an executor use them', async () => {
    const js = open(1);
    const pid = await js.run(jobs.pid);
    const pids = [];
    for await (const each of js.map(identity, [1, 2])) pids.push(each);
    expect(pids).toEqual([1, 2]);
    const executor = new JobserverExecutor(js);
    const calls = [executor.submit(jobs.pid), executor.submit(jobs.pid)];
    expect(await Promise.all(calls)).toEqual([pid, pid]);
    await executor.shutdown();
  });

  test('large arguments and results arrive whole', async () => {
    const js = open(1);
    for (const length of [100, 4096, 5000, 1 << 20, 20 << 20]) {
      const bytes = Buffer.alloc(length, length % 251);
      const back = await js.run(identity<Buffer>, bytes);
      expect(bytes.equals(back)).toBe(true);
    }
  });

  test('a job whose arguments cannot be sent runs in its own process', async () => {
    const js = open(1);
    const pid = await js.run(jobs.pid);
    const { EMFILE } = constants.errno;
    const file = jest.spyOn(native, 'anonymousFile');
    file.mockReturnValueOnce(-EMFILE);
    try {
      const bytes = await js.run(identity<Buffer>, Buffer.alloc(10_000, 7));
      expect(bytes.equals(Buffer.alloc(10_000, 7))).toBe(true);
    } finally {
      file.mockRestore();
    }
    expect(freeSlots(js)).toBe(1);
    await until('the end of the process', () => stateOf(pid) === 'X');
    expect(await js.run(identity, 1)).toBe(1);
  });

  onLinux('a call whose file cannot be received spoils no other', async () => {
    const js = open(1);
    keepFromOpening(await js.run(jobs.pid));
    const call = js.run(identity<Buffer>, Buffer.alloc(10_000));
    await expect(call).rejects.toMatchObject({ code: 'EMFILE' });
    // The process has not been told which function is called now.
    expect(await js.run(identity, 1)).toBe(1);
    expect(freeSlots(js)).toBe(1);
  });

  test('a job may get the handle itself', async () => {
    const js = open(2);
    const [own, nested] = await js.run(jobs.runWith, js);
    expect(nested).not.toBe(own);
  });

  describe('a process that dies', () => {
    test.each([
      ['SIGKILL', { exitCode: null, signal: 'SIGKILL' }],
      ['SIGTERM', { exitCode: null, signal: 'SIGTERM' }],
    ] as const)('by %s loses the job that it runs', async (signal, how) => {
      const js = open(1);
      const results = await Promise.allSettled([
        js.run(identity, 1),
        js.run(jobs.endBy, signal),
        js.run(identity, 2),
      ]);
      expect(results).toMatchObject([
        { value: 1 },
        { reason: how },
        { value: 2 },
      ]);
      expect(results[1]).toMatchObject({ reason: expect.any(LostResult) });
    });

    test('by process.exit loses the job, with the exit code', async () => {
      const js = open(1);
      const lost = await lossOf(js.run(jobs.exitWith, 3));
      expect(lost).toMatchObject({ exitCode: 3, signal: null });
      expect(await js.run(identity, 1)).toBe(1);
    });

    test('because nothing is left to do loses the job', async () => {
      const js = open(1);
      await js.run(identity, 1);
      const lost = await lossOf(js.run(jobs.neverSettle));
      expect(String(lost.cause)).toMatch(/never settled/);
    });

    test('without a job loses nothing', async () => {
      const js = open(1);
      const pid = await js.run(jobs.pid);
      process.kill(pid, 'SIGKILL');
      expect(await js.run(jobs.pid)).not.toBe(pid);
    });

    test('before it begins a job does not lose it: it runs once', async () => {
      const js = open(1);
      const pid = await stopIdle(js);
      const future = await js.submit(jobs.logRun, [at('log')]);
      process.kill(pid, 'SIGKILL');
      expect(await future.result()).not.toBe(pid);
      expect(runs()).toBe(1);
    });

    test('by an unhandled rejection keeps the results before it', async () => {
      const js = open(1);
      const pid = await js.run(jobs.leaveRejection);
      await until('its end', () => stateOf(pid) === 'X');
      expect(await js.run(identity, 1)).toBe(1);
    });
  });

  describe('a kill', () => {
    test('of a job that has not begun: it never runs', async () => {
      const js = open(1);
      const pid = await stopIdle(js);
      const future = await js.submit(jobs.logRun, [at('log')]);
      expect(future.kill('SIGKILL')).toBe(true);
      expect(await lossOf(future.result())).toMatchObject({
        signal: 'SIGKILL',
      });
      expect(future.kill('SIGKILL')).toBe(false);
      process.kill(pid, 'SIGCONT');
      expect(await js.run(jobs.pid)).toBe(pid);
      expect(runs()).toBe(0);
    });

    test('of a job that runs ends only its process', async () => {
      const js = open(2);
      const args: [string, string, string] = [at('log'), at('a'), at('gate')];
      const killed = await js.submit(jobs.logAndWait, args);
      const other = await js.submit(jobs.waitFor, [at('gate')]);
      await untilMade('a');
      expect(killed.kill()).toBe(true);
      expect(await lossOf(killed.result())).toMatchObject({
        signal: 'SIGTERM',
      });
      make('gate');
      expect(await other.result()).toBe('seen');
    });

    test('of a job that has answered does nothing', async () => {
      const js = open(1);
      const future = await js.submit(jobs.pid);
      const pid = await future.result();
      expect(future.kill('SIGKILL')).toBe(false);
      expect(await js.run(jobs.pid)).toBe(pid);
    });

    test('by an AbortSignal settles a job that has not begun', async () => {
      const js = open();
      const pid = await stopIdle(js);
      const abort = new AbortController();
      const { signal } = abort;
      const future = await js.submit(jobs.logRun, [at('log')], { signal });
      const result = rejection(future.result());
      abort.abort();
      expect(await result).toMatchObject({ name: 'AbortError' });
      process.kill(pid, 'SIGCONT');
      expect(await js.run(jobs.pid)).toBe(pid);
      expect(runs()).toBe(0);
    });

    test('by an AbortSignal reaches one job', async () => {
      const js = open(1);
      const abort = new AbortController();
      const args: [string, string, string] = [at('log'), at('a'), at('gate')];
      const future = await js.submit(jobs.logAndWait, args, {
        signal: abort.signal,
      });
      await untilMade('a');
      abort.abort();
      expect(await rejection(future.result())).toMatchObject({
        name: 'AbortError',
      });
      expect(await js.run(identity, 1)).toBe(1);
    });
  });

  describe('a job', () => {
    test('finds its environment, directory and exit code', async () => {
      const js = open(1).with({ env: { REUSE_TEST: 'mine' } });
      const expected = {
        directory: process.cwd(),
        variable: 'mine',
        exitCode: undefined,
      };
      expect(await js.run(jobs.surroundings)).toEqual(expected);
      const pid = await js.run(jobs.changeSurroundings);
      expect(await js.run(jobs.surroundings)).toEqual(expected);
      const other = js.with({ env: { REUSE_TEST: null } });
      expect(await other.run(jobs.surroundings)).toEqual({
        ...expected,
        variable: undefined,
      });
      expect(await js.run(jobs.pid)).toBe(pid);
    });

    test('that imports a module leaves nothing behind', async () => {
      const js = open(1);
      const pid = await js.run(jobs.pid);
      for (const name of ['a.mjs', 'b.mjs', 'c.mjs']) {
        make(name);
        expect(await js.run(jobs.importFile, at(name))).toBe(pid);
      }
    });

    test('whose large buffer is collected leaves nothing behind', async () => {
      const js = open(1);
      let buffer = allocate(64 << 20);
      const pid = await js.run(jobs.pid);
      for (let i = 0; i < 4; i += 1) {
        buffer = await js.run(jobs.moveBack, move(buffer));
        expect(await js.run(jobs.pid)).toBe(pid);
      }
      expect(await js.run(jobs.drop, move(buffer))).toBe(pid);
    });

    test('whose immediates end leaves nothing behind', async () => {
      const js = open(1);
      const pid = await js.run(jobs.leaveImmediates, 20);
      expect(await js.run(jobs.pid)).toBe(pid);
    });

    test('whose immediates go on is the last of its process', async () => {
      const js = open(1);
      const pid = await js.run(jobs.leaveImmediates, Infinity);
      expect(await js.run(jobs.pid)).not.toBe(pid);
    });

    test.each([
      ['a timer', jobs.leaveTimer],
      ['a listener', jobs.leaveListener],
      ['a job', jobs.leaveJob],
    ])('that leaves %s behind is the last of its process', async (_, leave) => {
      const js = open(1);
      const fn = leave as (file: string) => Promise<number>;
      const pid = await js.run(fn, at('gate'));
      expect(await js.run(jobs.pid)).not.toBe(pid);
      await until('its end', () => stateOf(pid) === 'X');
    });

    test('lends its slot to a job that it waits for', async () => {
      const js = open(1);
      const future = await js.submit(jobs.lend, [at('a'), at('gate')]);
      await untilMade('a');
      expect(freeSlots(js)).toBe(0);
      make('gate');
      expect(await future.result()).toBe('lent');
      expect(freeSlots(js)).toBe(1);
      expect(await js.run(identity, 1)).toBe(1);
    });

    test('that dies while its slot is lent keeps it until then', async () => {
      const js = open(1);
      const future = await js.submit(jobs.lend, [at('a'), at('gate')]);
      await untilMade('a');
      future.kill('SIGKILL');
      await lossOf(future.result());
      expect(freeSlots(js)).toBe(0);
      make('gate');
      await until('the slot to be free', () => freeSlots(js) === 1);
    });
  });

  test('a job whose submitter is killed gives its slot back', async () => {
    const js = open(2, { jobsPerProcess: 1 });
    const args: [string, string, string] = [at('log'), at('a'), at('gate')];
    const submitter = await js.submit(jobs.reuseNested, args);
    await untilMade('a');
    expect(freeSlots(js)).toBe(0);
    submitter.kill('SIGKILL');
    await lossOf(submitter.result());
    // On macOS an orphan runs on.
    if (process.platform !== 'linux') make('gate');
    await until('all slots to be free', () => freeSlots(js) === 2);
  });
}
