import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Context } from '../../dist/context.js';
import { type Jobserver, LostResult } from '../../dist/index.js';
import { controlsFor } from '../fixtures/controls.js';
import * as ends from '../fixtures/ending-jobs.js';
import { identity } from '../fixtures/jobs.js';
import * as limits from '../fixtures/limit-jobs.js';
import { testIf } from '../helpers/context.js';
import { useFolder } from '../helpers/folder.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { descendantsOf, isAlive } from '../helpers/processes.js';
import { rejection } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

/** With each control, and with all of them, each kind of end is what it is without. */
export function controlFaultContract(context: Context): void {
  const controls = controlsFor(context);
  const names = Object.keys(controls);
  const folder = useFolder();

  /** Runs a job with each of the controls at the same time. */
  async function withEach(
    check: (js: Jobserver, name: string) => Promise<void>,
  ): Promise<void> {
    const slots = names.length;
    // Else the leak check waits for the zygotes that have other options of node.
    const js = openJobserver({ context, slots, forkserverKeepAlive: 0 });
    const failed: string[] = [];
    const checkOne = async (name: string): Promise<void> => {
      try {
        await check(js.with(controls[name]!).with({ killGrace: 100 }), name);
      } catch (error) {
        failed.push(`${name}: ${String(error)}`);
      }
    };
    await Promise.all(names.map(checkOne));
    expect(failed).toEqual([]);
    await until('all slots to be free', () => freeSlots(js) === names.length);
  }

  async function abortOnce(
    js: Jobserver,
    fn: (started: string) => string,
    name: string,
  ): Promise<void> {
    const started = join(folder(), name);
    const controller = new AbortController();
    const { signal } = controller;
    const future = await js.submit(fn, [started], { signal });
    await until(`the job with ${name}`, () => hasText(started, fn));
    controller.abort();
    const error = await rejection(future.result());
    expect(error).toMatchObject({ name: 'AbortError' });
  }

  function hasText(file: string, fn: unknown): boolean {
    if (!readdirSync(folder()).some((name) => file.endsWith(`/${name}`))) {
      return false;
    }
    return fn !== limits.leaveHolder || readFileSync(file, 'utf8') !== '';
  }

  test('a value', async () => {
    await withEach(async (js) => {
      expect(await js.run(identity, 1)).toBe(1);
    });
  });

  test('an error that is thrown', async () => {
    await withEach(async (js) => {
      const error = await rejection(js.run(ends.fail, 'on purpose'));
      expect(error).toMatchObject({ message: 'on purpose' });
    });
  });

  test('a loss', async () => {
    await withEach(async (js, name) => {
      const error = await rejection(js.run(ends.die));
      expect(error).toBeInstanceOf(LostResult);
      const isAgain = name === 'retries' || name === 'all';
      const attempts = isAgain ? 2 : 1;
      expect(error).toMatchObject({ signal: 'SIGKILL', attempts });
    });
  });

  test('an abort', async () => {
    await withEach((js, name) => abortOnce(js, limits.stayLong, name));
  });

  test('an abort of a job that ignores SIGTERM', async () => {
    await withEach((js, name) => abortOnce(js, limits.ignoreTermination, name));
  });

  test('an abort of a job whose child holds its streams', async () => {
    await withEach(async (js, name) => {
      await abortOnce(js, limits.leaveHolder, name);
      // It has left the process group.
      const pid = Number(readFileSync(join(folder(), name), 'utf8'));
      process.kill(pid, 'SIGKILL');
    });
  });

  // Where the kernel sends no signal, the jobs run on.
  testIf(process.platform === 'linux')(
    'the death of the submitter',
    async () => {
      const program = resolve('dist-test', 'fixtures', 'controls.js');
      const argv = [...process.execArgv, program, context, folder()];
      const submitter = spawn(process.execPath, argv, { stdio: 'ignore' });
      const began = (): boolean =>
        readdirSync(folder()).length === names.length;
      await until('the jobs', began);
      const before = descendantsOf(submitter.pid!);
      expect(before.length).toBeGreaterThanOrEqual(names.length);
      submitter.kill('SIGKILL');
      await once(submitter, 'exit');
      await until('the jobs to end', () => !before.some(isAlive));
    },
  );
}
