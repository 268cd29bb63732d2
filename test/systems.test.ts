// Jobs run on systems that lack some features.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { runProgram } from './helpers/program.js';
import { testIf } from './helpers/context.js';

const program = resolve('test', 'prebuilds', 'smoke.mjs');
const printed = ['spawn', 'forkserver'].map(
  (context) => `${context} ${process.arch} ${process.version}\n`,
);
const warning = 'JOBSERVER_NO_FORKSERVER';

const isLinux = process.platform === 'linux';
// Only the number of memfd_create differs between x64 and arm64.
const syscalls = {
  pidfd_open: 434,
  pidfd_send_signal: 424,
  close_range: 436,
  memfd_create: process.arch === 'x64' ? 319 : 279,
};
const unshare = ['--user', '--map-root-user', '--pid', '--fork'];
const canMount =
  isLinux &&
  spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'])
    .status === 0;
const canUnshare =
  isLinux && spawnSync('unshare', [...unshare, 'true']).status === 0;

let folder: string;
let without: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'jobserver-'));
  if (!isLinux) return;
  without = join(folder, 'without-syscalls');
  const source = resolve('test', 'fixtures', 'without-syscalls.c');
  const { status, stderr } = spawnSync('cc', ['-o', without, source]);
  if (status !== 0) throw new Error(String(stderr));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function runWithout(names: (keyof typeof syscalls)[]): Promise<string> {
  const numbers = names.map((name) => String(syscalls[name]));
  const node = [process.execPath, program];
  const ended = await runProgram(without, [...numbers, '--', ...node]);
  expect(ended).toMatchObject({ code: 0, stdout: printed.join('') });
  return ended.stderr;
}

describe('jobs run on a kernel', () => {
  for (const name of [
    'close_range',
    'memfd_create',
    'pidfd_send_signal',
  ] as const) {
    testIf(isLinux)(`without ${name}`, async () => {
      expect(await runWithout([name])).toBe('');
    });
  }

  testIf(isLinux)(
    'without pidfd_open, where all jobs are spawned',
    async () => {
      expect(await runWithout(['pidfd_open'])).toContain(warning);
      const library = JSON.stringify(resolve('dist', 'index.js'));
      const node = [
        process.execPath,
        '-p',
        `new (require(${library}).Jobserver)().context`,
      ];
      const number = String(syscalls.pidfd_open);
      const { stdout } = await runProgram(without, [number, '--', ...node]);
      expect(stdout).toBe('spawn\n');
    },
  );

  testIf(isLinux)('without any of these system calls', async () => {
    const all = Object.keys(syscalls) as (keyof typeof syscalls)[];
    expect(await runWithout(all)).toContain(warning);
  });
});

describe('jobs run', () => {
  const commands = printed.join('');
  const runSmoke = (file: string, args: string[], env = process.env) =>
    runProgram(file, args, { env });

  test('without any environment variable', async () => {
    const ended = await runSmoke(process.execPath, [program], {});
    expect(ended).toMatchObject({ code: 0, stdout: commands, stderr: '' });
  });

  testIf(isLinux)('after the program of node has been removed', async () => {
    const node = join(folder, 'node');
    copyFileSync(process.execPath, node);
    const code = `fs.rmSync(process.execPath); import(${JSON.stringify(program)})`;
    const ended = await runSmoke(node, ['-e', code]);
    expect(ended).toMatchObject({ code: 0, stdout: commands, stderr: '' });
  });

  /** Runs the program in a mount namespace after these commands. */
  const runMounted = (...mounts: string[]) =>
    runSmoke('unshare', [
      ...['--mount', 'sh', '-ec', `${mounts.join('; ')}; exec "$@"`, 'sh'],
      ...[process.execPath, program],
    ]);

  testIf(canMount)('where no temporary file can be written', async () => {
    const ended = await runMounted(
      // The files in them stay, because the package may be one of them.
      'mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp',
      'mount -t tmpfs -o ro none /dev/shm',
      '! touch /tmp/jobserver-test 2>/dev/null',
    );
    expect(ended).toMatchObject({ code: 0, stdout: commands, stderr: '' });
  });

  testIf(canMount)('without /proc, where all are spawned', async () => {
    const ended = await runMounted('mount -t tmpfs none /proc');
    expect(ended).toMatchObject({ code: 0, stdout: commands });
    expect(ended.stderr).toContain(warning);
  });
});

// As in a container: the process has pid 1 and becomes the parent of orphans.
testIf(canUnshare)('jobs run in a pid namespace', async () => {
  const args = [...unshare, process.execPath, program];
  const ended = await runProgram('unshare', args);
  expect(ended).toMatchObject({
    code: 0,
    stdout: printed.join(''),
    stderr: '',
  });
});
