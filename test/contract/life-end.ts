import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import { useFolder } from '../helpers/folder.js';
import { underMake } from '../helpers/make.js';
import { isAlive, stateOf } from '../helpers/processes.js';
import { runNode } from '../helpers/program.js';
import { until } from '../helpers/until.js';

const programs = join(__dirname, '..', 'fixtures', 'life-programs.js');

/** What becomes of running jobs when their submitter ends or is stopped. */
export function lifeEndContract(context: Context): void {
  const folder = useFolder();

  const node = (...args: string[]): string[] => [
    ...process.execArgv,
    programs,
    ...args,
  ];

  // Only Linux has orphan signals.
  const onLinux = process.platform === 'linux' ? test : test.skip;

  onLinux.each([
    ['process.exit in a callback', 'exit', { code: 3, signal: null }],
    ['an error in a callback', 'throw', { code: 1, signal: null }],
    ['SIGKILL in a callback', 'kill', { code: null, signal: 'SIGKILL' }],
  ])(
    'running jobs end and give their slots back after %s',
    async (_, how, ending) => {
      const left = await underMake(folder(), '+++', async (env) => {
        const ended = await runNode(node('endEarly', context, how, folder()), {
          env,
        });
        expect(ended).toMatchObject(ending);
        const pids = JSON.parse(ended.stdout) as number[];
        await until('the jobs to end', () => !pids.some(isAlive));
      });
      expect(left).toBe('+++');
    },
  );

  test('a Jobserver that is dropped while its jobs run releases everything', async () => {
    const args = node('dropRunning', context, folder());
    const ended = await runNode(['--expose-gc', ...args]);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    for (const pid of JSON.parse(ended.stdout) as number[]) {
      await until('the jobs to be gone', () => stateOf(pid) === 'X');
    }
  });

  test('copies of the module that are not used any more release everything', async () => {
    const args = node('dropCopies', context);
    const ended = await runNode(['--expose-gc', ...args]);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
  });

  // A shell with job control puts the program into a process group of its own;
  // Ctrl-Z sends SIGTSTP to the group, and fg sends SIGCONT.
  test.each([
    ['SIGSTOP', (pid: number) => pid],
    ['SIGTSTP', (pid: number) => -pid],
  ] as const)(
    'jobs go on after their submitter was stopped by %s',
    async (signal, target) => {
      const end = join(folder(), 'end');
      const argv = node('workUntil', context, end);
      // The shell waits for the end of its input, because `wait` also returns
      // when the program is stopped.
      const script = 'set -m; "$@" </dev/null & read -r _; wait $!';
      const args = ['-c', script, 'bash', process.execPath, ...argv];
      const shell = spawn('bash', args, { stdio: ['pipe', 'pipe', 'inherit'] });
      const exited = once(shell, 'exit');
      const [line] = (await once(shell.stdout, 'data')) as [Buffer];
      const pid = Number(line);
      try {
        for (let i = 0; i < 3; i++) {
          process.kill(target(pid), signal);
          await until('it to stop', () => stateOf(pid) === 'T');
          process.kill(target(pid), 'SIGCONT');
          await until('it to go on', () => stateOf(pid) !== 'T');
        }
        writeFileSync(end, '');
        await until('it to end', () => !isAlive(pid));
        shell.stdin.end();
        expect(await exited).toEqual([0, null]);
      } finally {
        shell.kill('SIGKILL');
        spawnSync('kill', ['-KILL', '--', `-${pid}`]);
      }
    },
  );
}
