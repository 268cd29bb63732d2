import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { LostResult } from '../../dist/index.js';
import { reportKinds } from '../../dist/protocol/fds.js';
import * as jobs from '../fixtures/forkserver-jobs.js';
import { chain } from '../fixtures/lending-jobs.js';
import { useFolder } from '../helpers/folder.js';
import { checkSlots, freeSlots, openJobserver } from '../helpers/jobserver.js';
import { type Ended, runNode } from '../helpers/program.js';
import { isAlive } from '../helpers/processes.js';
import { rejection } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

const context = 'forkserver';
const preload = (name: string): string =>
  resolve('test', 'fixtures', 'preload', `${name}.mjs`);

const folder = useFolder();
checkSlots();

/** Kills the zygote whose pid a job has returned. */
function killZygote(pid: number): Promise<void> {
  expect(pid).toBeGreaterThan(1);
  process.kill(pid, 'SIGKILL');
  return until('the zygote to be gone', () => !isAlive(pid));
}

test('one zygote forks all jobs, including nested ones', async () => {
  const js = openJobserver({ context, slots: 2 });
  const zygote = await js.run(jobs.parentPid);
  expect(await js.run(jobs.parentPid)).toBe(zygote);
  expect(await js.run(jobs.nestedParentPid)).toBe(zygote);
  expect(zygote).not.toBe(process.pid);
});

test('a job that is killed is lost at once, though a fork of it runs', async () => {
  const js = openJobserver({ context, slots: 1 });
  const [started, gate] = [join(folder(), 'started'), join(folder(), 'gate')];
  const future = await js.submit(jobs.runFork, [started, gate]);
  await until('the fork to run', () => existsSync(started));
  future.kill('SIGKILL');
  const error = await rejection(future.result({ timeout: 5000 }));
  writeFileSync(gate, '');
  expect(error).toBeInstanceOf(LostResult);
});

test('a slot can be lent on 40 times, and is free after the last borrower', async () => {
  const js = openJobserver({ context, slots: 1 });
  const [pids, gate, depth] = [folder(), join(folder(), 'gate'), 40];
  const links = { pids, gate, orphanSignal: null, then: 'wait' } as const;
  const future = await js.submit(chain, [depth, links]);
  const pidAt = (i: number): number =>
    Number(readFileSync(join(folder(), String(i)), 'utf8'));
  await until('the chain to be complete', () =>
    existsSync(join(folder(), '0')),
  );
  for (let i = depth; i > 0; i--) process.kill(pidAt(i), 'SIGKILL');
  expect(await rejection(future.result())).toBeInstanceOf(LostResult);
  expect(freeSlots(js)).toBe(0);
  writeFileSync(gate, '');
  await until('the slot to be free', () => freeSlots(js) === 1);
});

test('a job does not see changes that another job made in memory', async () => {
  const js = openJobserver({ context, slots: 1 });
  expect(await js.run(jobs.countCalls)).toBe(1);
  expect(await js.run(jobs.countCalls)).toBe(1);
});

test('a job has the current environment and cwd of its submitter', async () => {
  const js = openJobserver({ context, slots: 1 });
  await js.run(jobs.surroundings);
  const cwd = process.cwd();
  try {
    process.chdir(folder());
    process.env['SURROUNDINGS_TEST'] = 'late';
    expect(await js.run(jobs.surroundings)).toEqual({
      cwd: process.cwd(),
      value: 'late',
    });
  } finally {
    delete process.env['SURROUNDINGS_TEST'];
    process.chdir(cwd);
  }
  expect(await js.run(jobs.surroundings)).toEqual({ cwd, value: undefined });
  const revised = js.reviseEnv({ SURROUNDINGS_TEST: 'revised' });
  expect(await revised.run(jobs.surroundings)).toMatchObject({
    value: 'revised',
  });
});

test('jobs do not have the Node flags of the zygote', async () => {
  const js = openJobserver({ context, slots: 1 });
  expect((await js.run(jobs.flags)).join(' ')).not.toMatch(/single|pool-size/);
});

test.each(['x', '-1', '1.5'])(
  'JOBSERVER_SPARES=%j is refused by name',
  async (spares) => {
    const js = openJobserver({ context, slots: 1 });
    process.env['JOBSERVER_SPARES'] = spares;
    try {
      await expect(js.run(jobs.countCalls)).rejects.toMatchObject({
        code: 'ERR_OUT_OF_RANGE',
        message: expect.stringContaining('JOBSERVER_SPARES') as string,
      });
    } finally {
      delete process.env['JOBSERVER_SPARES'];
    }
  },
);

test('preloaded modules are loaded once, for all jobs', async () => {
  const js = openJobserver({ context, slots: 1, preload: [preload('warm')] });
  expect(await js.run(jobs.timesWarmed)).toBe(1);
  expect(await js.run(jobs.timesWarmed)).toBe(1);
});

test('every job fails with the error that a preload throws', async () => {
  const js = openJobserver({ context, slots: 1, preload: [preload('throws')] });
  await expect(js.run(jobs.countCalls)).rejects.toThrow('not today');
  expect(() => js.submitSync(jobs.countCalls).resultSync()).toThrow(RangeError);
});

test('a job calls the signal handlers of preloaded modules and its own', async () => {
  const js = openJobserver({
    context,
    slots: 1,
    preload: [preload('handles')],
  });
  const counts = await js.run(jobs.handleTermination);
  expect(counts).toEqual({ preloaded: 1, own: 1 });
});

test('a preload that does not exist is refused by the constructor', () => {
  const missing = [join(folder(), 'missing.mjs')];
  expect(() => openJobserver({ context, slots: 1, preload: missing })).toThrow(
    /preload\[0\]/,
  );
});

test('killing the zygote loses no running job and no slot', async () => {
  const js = openJobserver({ context, slots: 2 });
  const zygote = await js.run(jobs.parentPid);
  const go = join(folder(), 'go');
  const running = await js.submit(jobs.spinUntilFile, [go]);
  expect(running.pid).toBeGreaterThan(0);
  await killZygote(zygote);
  const next = await js.run(jobs.parentPid);
  expect(next).not.toBe(zygote);
  writeFileSync(go, '');
  expect(await running.result()).toBe('done');
});

test('a job can be killed after its zygote was killed', async () => {
  const js = openJobserver({ context, slots: 1 });
  const zygote = await js.run(jobs.parentPid);
  const running = await js.submit(jobs.spinUntilFile, [
    join(folder(), 'never'),
  ]);
  const { pid } = running;
  await killZygote(zygote);
  expect(running.kill('SIGKILL')).toBe(true);
  await expect(running.result()).rejects.toThrow(LostResult);
  expect(isAlive(pid!)).toBe(false);
});

test('no zygote and no job survives a killed parent', async () => {
  const program = resolve('test', 'fixtures', 'killed-parent.mjs');
  const { signal, stdout } = await runNode([program, folder()]);
  expect(signal).toBe('SIGKILL');
  const pids = stdout.trim().split(' ').map(Number);
  expect(pids).toHaveLength(2);
  for (const pid of pids) {
    await until(`process ${pid} to be gone`, () => !isAlive(pid));
  }
});

// Module hooks may run in a thread, which a fork does not have: an import in
// the fork would wait for that thread forever.
test('jobs are spawned when module hooks run in a thread', async () => {
  const { code, stdout } = await runHooked('program');
  expect(stdout).toBe('spawn spawn 5 5 5 JOBSERVER_NO_FORKSERVER\n');
  expect(code).toBe(0);
});

// A zygote of these jobs would have such a thread, and this process has none.
const hooks = (name: string): string =>
  pathToFileURL(resolve('test', 'fixtures', 'hooks', `${name}.mjs`)).href;
const hooking = { NODE_OPTIONS: `--import ${hooks('register')}` };

test('jobs are spawned when the hooks of a zygote run in a thread', async () => {
  const js = openJobserver({ context, slots: 1 });
  const hooked = js.reviseEnv(hooking);
  expect(hooked.context).toBe('forkserver');
  expect(await hooked.run(`${hooks('jobs')}#hooked`)).toBe(5);
  expect(await hooked.run(`${hooks('jobs')}#context`)).toBe('spawn');
  expect(hooked.context).toBe('spawn');
  expect(js.context).toBe('forkserver');
  expect(await js.run(jobs.parentPid)).not.toBe(process.pid);
});

test('jobs are spawned when a thread of a zygote stays busy', async () => {
  const file = resolve('test', 'fixtures', 'preload', 'busy-thread.cjs');
  const js = openJobserver({ context, slots: 1 });
  const busy = js.reviseEnv({ NODE_OPTIONS: `--require ${file}` });
  expect(await busy.run(jobs.parentPid)).toBe(process.pid);
  expect([busy.context, js.context]).toEqual(['spawn', 'forkserver']);
});

test('a job that is killed before it starts is not started again', async () => {
  const hooked = openJobserver({ context, slots: 1 }).reviseEnv(hooking);
  // Not the options of another test, whose zygote has already declined.
  const fresh = hooked.reviseEnv({ NODE_PATH: folder() });
  const future = await fresh.submit(`${hooks('jobs')}#forever`);
  future.kill('SIGKILL');
  await expect(future.result()).rejects.toMatchObject({
    code: 'ERR_JOBSERVER_LOST_RESULT',
    signal: 'SIGKILL',
  });
});

test('the name of a compiled module finds its source under a loader', async () => {
  writeFileSync(join(folder(), 'tasks.ts'), 'export const five = () => 5;');
  const { stdout } = await runHooked('typescript-program', folder());
  expect(stdout).toBe('5\n');
});

function runHooked(program: string, ...args: string[]): Promise<Ended> {
  const file = resolve('test', 'fixtures', 'hooks', `${program}.mjs`);
  return runNode(['--import', hooks('register'), file, ...args]);
}

test('a request of too few bytes is refused', async () => {
  const program = resolve('test', 'fixtures', 'short-requests.mjs');
  const { stdout } = await runNode([program]);
  const { refused, started } = reportKinds;
  expect(JSON.parse(stdout)).toEqual([refused, refused, refused, started]);
});
