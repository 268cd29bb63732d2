import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Context } from '../../dist/context.js';
import {
  type JobControls,
  type Jobserver,
  LostResult,
} from '../../dist/index.js';
import { identity } from '../fixtures/jobs.js';
import * as jobs from '../fixtures/settings-jobs.js';
import { testIf } from '../helpers/context.js';
import { useFolder } from '../helpers/folder.js';
import { freeSlots, openJobserver } from '../helpers/jobserver.js';
import { rejection, thrown } from '../helpers/thrown.js';
import { until } from '../helpers/until.js';

const isLinux = process.platform === 'linux';
const mayRaise = process.getuid?.() === 0;

/** The process of a job has what the controls of its handle say. */
export function settingsContract(context: Context): void {
  // Else the leak check waits for the zygotes that have other options of node.
  const open = (slots = 1): Jobserver =>
    openJobserver({ context, slots, forkserverKeepAlive: 0 });
  const folder = useFolder();
  const makeFolder = (name: string): string => {
    mkdirSync(join(folder(), name));
    return realpathSync(join(folder(), name));
  };

  test('cwd is the directory of the job, also in a process that had another', async () => {
    const js = open();
    const [a, b] = [makeFolder('a'), makeFolder('b c')];
    const before = process.cwd();
    const found = async (handle: Jobserver): Promise<string> =>
      (await handle.run(jobs.directoryAndPid))[0];
    expect(await found(js.with({ cwd: a }))).toBe(a);
    expect(
      await found(js.with({ cwd: a }).with({ cwd: pathToFileURL(b) })),
    ).toBe(b);
    expect(await found(js.with({ cwd: 'test' }))).toBe(join(before, 'test'));
    expect(await found(js)).toBe(before);
    expect(process.cwd()).toBe(before);
  });

  test('a directory that does not exist fails the job, and the next one runs', async () => {
    const js = open();
    const cwd = join(folder(), 'missing');
    const error = await rejection(js.with({ cwd }).run(identity, 1));
    expect(error).toMatchObject({ code: 'ENOENT' });
    expect((error as Error).message).toContain(cwd);
    expect(await js.run(identity, 2)).toBe(2);
  });

  test('nice is the level of all threads of the job, and of no other job', async () => {
    const js = open();
    const own = getPriority();
    const level = Math.min(19, own + 3);
    const nicer = js.with({ nice: level });
    expect(await nicer.run(jobs.niceLevels)).toEqual([level]);
    expect(await js.run(jobs.niceLevels)).toEqual([own]);
    expect(await js.run(jobs.nestedNice, nicer)).toEqual([level]);
  });

  testIf(!mayRaise)(
    'a level below that of this process fails the job',
    async () => {
      const error = await rejection(
        open().with({ nice: -20 }).run(identity, 1),
      );
      expect(error).toMatchObject({
        code: expect.stringMatching(/EACCES|EPERM/),
      });
    },
  );

  testIf(isLinux)('oomScoreAdj is added to that of this process', async () => {
    const js = open();
    const own = jobs.oomScore();
    expect(await js.with({ oomScoreAdj: 7 }).run(jobs.oomScore)).toBe(own + 7);
    expect(await js.with({ oomScoreAdj: 1000 }).run(jobs.oomScore)).toBe(1000);
    expect(await js.run(jobs.oomScore)).toBe(own);
  });

  testIf(existsSync('/proc/self/limits'))(
    'limits are those of the job and of its children, and of no other job',
    async () => {
      const js = open();
      const limited = js
        .with({ limits: { openFiles: 200 } })
        .with({ limits: { fileSize: 5000, openFiles: 100, coreDump: 0 } });
      expect(await limited.run(jobs.limitOf, 'Max open files')).toEqual([
        '100',
        '100',
      ]);
      expect(await limited.run(jobs.limitOf, 'Max file size')).toEqual([
        '5000',
        '5000',
      ]);
      expect(await limited.run(jobs.limitOf, 'Max core file size')).toEqual([
        '0',
        '0',
      ]);
      expect(await limited.run(jobs.limitOfChild)).toBe('100');
      expect(await limited.run(jobs.openMany)).toBe('EMFILE');
      const file = join(folder(), 'file');
      expect(await limited.run(jobs.writeBytes, file, 5001)).toBe('EFBIG');
      expect(await js.run(jobs.writeBytes, file, 5001)).toBe('written');
      const own = jobs.limitOf('Max open files');
      expect((await js.run(jobs.limitOf, 'Max open files'))[1]).toBe(own[1]);
    },
  );

  test('a job that uses up its cpuTime is lost, and its error names the limit', async () => {
    const js = open();
    const limited = js.with({ limits: { cpuTime: 1 } });
    const error = await rejection(limited.run(jobs.useCpu));
    expect(error).toBeInstanceOf(LostResult);
    expect(error).toMatchObject({ signal: 'SIGXCPU' });
    expect((error as Error).message).toMatch(
      /killed by SIGXCPU: it has used its cpuTime of 1 ms$/,
    );
    await until('the slot to be free', () => freeSlots(js) === 1);
    expect(await js.run(identity, 1)).toBe(1);
  });

  testIf(isLinux)(
    'addressSpace is counted from what the process has at its start',
    async () => {
      const limited = open().with({ limits: { addressSpace: 256 << 20 } });
      expect(await limited.run(jobs.allocateBytes, 1 << 20)).toBe(1 << 20);
      const error = await rejection(limited.run(jobs.allocateBytes, 1 << 30));
      expect(error).toMatchObject({
        message: expect.stringMatching(/alloc|SIGABRT|SIGTRAP/),
      });
    },
  );

  testIf(context !== 'fork')(
    'execArgv are options of node for the job',
    async () => {
      const js = open();
      const traced = js.with({
        execArgv: ['--trace-uncaught'],
        maxHeapMb: 300,
      });
      const found = await traced.run(jobs.nodeOptions);
      expect(found).toEqual(
        expect.arrayContaining([
          '--trace-uncaught',
          '--max-old-space-size=300',
        ]),
      );
      expect(
        await traced.with({ execArgv: [] }).run(jobs.nodeOptions),
      ).not.toContain('--trace-uncaught');
      expect(await js.run(jobs.nodeOptions)).not.toContain('--trace-uncaught');
    },
  );

  testIf(context !== 'fork')(
    'without inheritance, a job has the options of its controls only',
    async () => {
      const js = open();
      const of = (given: JobControls): Jobserver => js.with(given);
      const outer = of({ execArgv: ['--stack-trace-limit=20'] });
      const alone = of({ inheritExecArgv: false });
      const own = alone.with({ execArgv: ['--trace-uncaught'] });
      // The options of the outer job are those that its jobs inherit.
      const found = await outer.run(jobs.nestedOptions, [js, alone, own]);
      expect(found).toEqual([
        expect.arrayContaining(['--stack-trace-limit=20']),
        [],
        ['--trace-uncaught'],
      ]);
      const sized = own.with({ maxHeapMb: 300 });
      expect(await sized.run(jobs.nodeOptions)).toEqual([
        '--trace-uncaught',
        '--max-old-space-size=300',
      ]);
      // The jobs of such a job inherit what it has, and no more.
      const again = sized.with({ inheritExecArgv: true, execArgv: [] });
      expect(await sized.run(jobs.nestedOptions, [js, alone, again])).toEqual([
        ['--trace-uncaught', '--max-old-space-size=300'],
        [],
        expect.arrayContaining(['--trace-uncaught']),
      ]);
    },
  );

  testIf(context !== 'fork')(
    'an option for one process does not reach a job without inheritance',
    async () => {
      const js = open();
      const titled = js.with({ execArgv: ['--title=own'] });
      const handles = [js, js.with({ inheritExecArgv: false })];
      expect(await titled.run(jobs.nodeOptions)).toContain('--title=own');
      for (const found of await titled.run(jobs.nestedOptions, handles)) {
        expect(found).not.toContain('--title=own');
      }
    },
  );

  testIf(context === 'fork')('options of node are refused', () => {
    const all = [
      { maxHeapMb: 100 },
      { execArgv: [] },
      { inheritExecArgv: true },
    ];
    for (const controls of all) {
      const error = thrown(() => open().with(controls));
      expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
      expect((error as Error).message).toContain(Object.keys(controls)[0]);
    }
  });

  test('all of them go together, with a limit of time and retries', async () => {
    const [cwd, level] = [makeFolder('all'), Math.min(19, getPriority() + 1)];
    const js = open(2).with({
      ...{ cwd, nice: level, runTimeout: 60_000, killGrace: 10, retries: 1 },
      limits: { cpuTime: 60_000, openFiles: 500 },
      env: { SETTINGS: 'all' },
      ...(isLinux && { oomScoreAdj: 1 }),
      ...(context !== 'fork' && { maxHeapMb: 500 }),
    });
    expect((await js.run(jobs.directoryAndPid))[0]).toBe(cwd);
    expect(await js.run(jobs.niceLevels)).toEqual([level]);
    expect((await js.run(jobs.titleAndPid))[0]).toBe('all');
    expect((await js.run(jobs.nested, js))[0]).toBe(cwd);
  });
}
