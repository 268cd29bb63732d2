import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Context } from '../../dist/context.js';
import { lineCount } from '../fixtures/terminal-jobs.js';
import { hasEventLoop } from '../helpers/context.js';
import { isAlive } from '../helpers/processes.js';
import { until } from '../helpers/until.js';

const programs = resolve('dist-test', 'fixtures', 'terminal-programs.js');

/** Standard streams and signals of a program in a terminal and of its jobs. */
export function terminalContract(context: Context): void {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'terminal-'));
  });
  // A test that fails must not leave the processes that it has started.
  const groups: number[] = [];
  afterEach(() => {
    for (const group of groups.splice(0)) {
      try {
        process.kill(-group, 'SIGKILL');
      } catch {
        // All processes of the group have ended.
      }
    }
    rmSync(folder, { recursive: true });
  });

  const argv = (...args: string[]): string[] => [
    ...process.execArgv,
    programs,
    ...args,
  ];

  test('all output of a job arrives before what its parent writes afterward', () => {
    const { stdout, stderr } = spawnSync(
      process.execPath,
      argv('write', context),
      { encoding: 'utf8', maxBuffer: 1 << 26, timeout: 60_000 },
    );
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(lineCount + 1);
    expect(lines.at(-2)).toBe(`line ${lineCount - 1} of the job`);
    expect(lines.at(-1)).toBe('written');
    expect(stderr).toBe('the end\n');
  });

  test('the standard input of a job is empty', () => {
    const { stdout, stderr } = spawnSync(
      process.execPath,
      argv('read', context),
      { encoding: 'utf8', input: 'not for jobs', timeout: 60_000 },
    );
    expect([stdout, stderr]).toEqual(['""\n', '']);
  });

  /** Starts a parent in its own process group, and waits for its two jobs. */
  async function start(
    ...args: string[]
  ): Promise<{ parent: ChildProcess; pids: number[]; output: () => string }> {
    const file = join(folder, 'job');
    const parent = spawn(
      process.execPath,
      argv('stay', context, file, ...args),
      { detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    groups.push(parent.pid!);
    let output = '';
    for (const stream of [parent.stdout, parent.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    }
    const files = [`${file}-1`, `${file}-2`];
    await until('both jobs to run', () => files.every((it) => existsSync(it)));
    const pids = files.map((it) => Number(readFileSync(it, 'utf8')));
    return { parent, pids, output: () => output };
  }

  const untilGone = async (pids: number[]): Promise<void> => {
    for (const pid of pids) {
      await until(`process ${pid} to end`, () => !isAlive(pid));
    }
  };

  test('Ctrl-C ends the parent and its jobs without any output', async () => {
    const { parent, pids, output } = await start();
    process.kill(-parent.pid!, 'SIGINT');
    expect(await once(parent, 'close')).toEqual([null, 'SIGINT']);
    await untilGone(pids);
    expect(output()).toBe('');
  });

  test('a program that handles Ctrl-C learns that its job has not, and goes on', async () => {
    const file = join(folder, 'job');
    const parent = spawn(process.execPath, argv('handle', context, file), {
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    groups.push(parent.pid!);
    let output = '';
    parent.stdout.setEncoding('utf8').on('data', (text) => (output += text));
    await until('the job to run', () => existsSync(file));
    process.kill(-parent.pid!, 'SIGINT');
    expect(await once(parent, 'close')).toEqual([0, null]);
    // The job after it comes from the same zygote, if any.
    expect(JSON.parse(output)).toEqual({ signal: 'SIGINT', isSame: true });
  });

  // Only Linux sends a signal to the children of a process that dies.
  const onLinux = process.platform === 'linux' ? test : test.skip;

  onLinux('the jobs of a killed parent receive the orphan signal', async () => {
    const { parent, pids } = await start('SIGHUP');
    parent.kill('SIGKILL');
    await untilGone(pids);
    // A job without an event loop cannot run signal handlers.
    const isHandled = existsSync(join(folder, 'job-2.SIGHUP'));
    expect(isHandled).toBe(hasEventLoop(context));
  });

  onLinux('with orphanSignal null, jobs outlive a killed parent', async () => {
    const { parent, pids } = await start('null');
    const exited = once(parent, 'exit');
    parent.kill('SIGKILL');
    await exited;
    // Time in which a signal would arrive.
    await new Promise((wake) => setTimeout(wake, 200));
    expect(pids.map(isAlive)).toEqual([true, true]);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await untilGone(pids);
  });
}
