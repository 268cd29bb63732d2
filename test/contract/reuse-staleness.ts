import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Context } from '../../dist/context.js';
import type { Jobserver } from '../../dist/index.js';
import * as jobs from '../fixtures/reuse-jobs.js';
import { useFolder } from '../helpers/folder.js';
import { openJobserver } from '../helpers/jobserver.js';
import { stateOf } from '../helpers/processes.js';
import { until } from '../helpers/until.js';

/** What is promised about a process that is not what a new one would be. */
export function stalenessContract(context: Context): void {
  const folder = useFolder();
  const open = (options: object = {}): Jobserver =>
    openJobserver({ context, slots: 1, jobsPerProcess: Infinity, ...options });
  const write = (name: string, text: string): URL => {
    const file = join(folder(), name);
    writeFileSync(file, text);
    return pathToFileURL(file);
  };
  /** A change is noticed within some milliseconds. */
  const untilRun = (js: Jobserver, fn: URL, value: string): Promise<void> =>
    until(`a job to give ${value}`, async () => (await js.run(fn)) === value);

  const esm = (value: string): string => `export default () => '${value}';`;
  const cjs = (value: string): string => `module.exports = () => '${value}';`;

  test('a job runs the code of a file that has changed', async () => {
    const js = open();
    const pid = await js.run(jobs.pid);
    const fn = write('fn.mjs', esm('old'));
    expect(await js.run(fn)).toBe('old');
    expect(await js.run(jobs.pid)).toBe(pid);
    for (const value of ['newer', 'newest']) {
      write('fn.mjs', esm(value));
      await untilRun(js, fn, value);
    }
    await until('the first process to end', () => stateOf(pid) === 'X');
  });

  test.each([
    [
      'import',
      { 'fn.mjs': `import f from './next.mjs'; export default () => f();` },
      { 'next.mjs': `export { default } from "./last.mjs";` },
      ['last.mjs', esm],
    ],
    [
      'import()',
      {
        'fn.mjs': `export default async () =>
          (await import('./last.mjs')).default();`,
      },
      {},
      ['last.mjs', esm],
    ],
    [
      'require()',
      { 'fn.cjs': `module.exports = () => require('./next')();` },
      { 'next.js': `module.exports = require('./last.cjs');` },
      ['last.cjs', cjs],
    ],
  ] as const)(
    'so it does where its module has it by %s',
    async (_, first, others, [last, text]) => {
      const js = open();
      for (const [name, code] of Object.entries(others)) write(name, code);
      write(last, text('old'));
      const [[name, code]] = Object.entries(first) as [[string, string]];
      const fn = write(name, code);
      expect(await js.run(fn)).toBe('old');
      write(last, text('new'));
      await untilRun(js, fn, 'new');
    },
  );

  test('a job that was sent ahead finds the change', async () => {
    const js = open();
    const fn = write('fn.mjs', esm('old'));
    expect(await js.run(fn)).toBe('old');
    const [begun, gate] = [join(folder(), 'begun'), join(folder(), 'gate')];
    const first = js.run(jobs.meet, begun, gate);
    const second = js.run(fn);
    await until('the first to begin', () => existsSync(begun));
    write('fn.mjs', esm('newer'));
    await new Promise((resolve) => setTimeout(resolve, 500));
    write('gate', '');
    expect(await Promise.all([first, second])).toEqual(['met', 'newer']);
  });

  test('a process lives on while no file changes', async () => {
    const js = open();
    const fn = write('fn.mjs', esm('old'));
    await js.run(fn);
    const pid = await js.run(jobs.pid);
    write('other.mjs', esm('new'));
    for (let i = 0; i < 5; i++) {
      expect(await js.run(fn)).toBe('old');
      await js.run(jobs.pause);
    }
    expect(await js.run(jobs.pid)).toBe(pid);
  });

  test('a preloaded module that has changed is loaded anew', async () => {
    const fn = write('fn.mjs', esm('old'));
    const js = open({ preload: [fn] });
    const fresh = js.with({ jobsPerProcess: 1 });
    expect(await js.run(fn)).toBe('old');
    expect(await fresh.run(fn)).toBe('old');
    write('fn.mjs', esm('newer'));
    await untilRun(fresh, fn, 'newer');
    await untilRun(js, fn, 'newer');
    write('fn.mjs', esm('newest'));
    await untilRun(js, fn, 'newest');
    expect(await fresh.run(fn)).toBe('newest');
  });

  test('a variable that only a new process can follow has another', async () => {
    const js = open();
    const pid = await js.run(jobs.pid);
    const other = js.with({ env: { NODE_NO_WARNINGS: '1' } });
    const [theirs] = [await other.run(jobs.pid), await other.run(jobs.pid)];
    expect(theirs).not.toBe(pid);
    expect(await other.run(jobs.pid)).toBe(theirs);
    expect(await js.run(jobs.pid)).toBe(pid);
  });

  test('a process that has grown by maxProcessMemory is replaced', async () => {
    const js = open({ maxProcessMemory: 120 << 20 });
    const pid = await js.run(jobs.pid);
    const pids = [];
    for (let i = 0; i < 8; i++) pids.push(await js.run(jobs.retain, 50 << 20));
    expect(pids.slice(0, 2)).toEqual([pid, pid]);
    expect(pids.at(-1)).not.toBe(pid);
    await until('its end', () => stateOf(pid) === 'X');
    const small = open({ maxProcessMemory: 1024 ** 4 });
    const first = await small.run(jobs.retain, 50 << 20);
    await small.run(jobs.retain, 50 << 20);
    expect(await small.run(jobs.pid)).toBe(first);
  });
}
