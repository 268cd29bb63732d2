// Jobs under the options of node that forbid or change something.
import { spawnSync } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { runNode } from '../helpers/program.js';
import { testIf } from '../helpers/context.js';

const program = resolve('test', 'fixtures', 'options-program.mjs');
// So that the process can be forked.
const threadless = ['--single-threaded', '--v8-pool-size=1'];
const isLinux = process.platform === 'linux';

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'jobserver-')));
  writeFileSync(join(folder, 'hook.cjs'), 'globalThis.hook = "hooked";');
  writeFileSync(join(folder, 'variables'), 'FROM_FILE=read\n');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const inFolder = (options: readonly string[]): string[] =>
  options.map((option) => option.replace('FOLDER', folder));

/** Whether this version of Node has the options, and can start with them. */
const hasOptions = (options: readonly string[]): boolean =>
  spawnSync(process.execPath, [...options, '-e', '0']).status === 0;

const printed = (result: string): string =>
  ['spawn', 'forkserver', 'fork']
    .map((context) => `${context} ${context} ${result}\n`)
    .join('');

const harmless: [option: string, result?: string][] = [
  ['--disallow-code-generation-from-strings'],
  ['--disable-proto=throw'],
  ['--disable-proto=delete'],
  ['--icu-data-dir=/tmp'],
  ['--secure-heap=4096'],
  ['--force-fips'],
  ['--enable-source-maps'],
  ['--require=FOLDER/hook.cjs', 'hooked'],
  ['--import=FOLDER/hook.cjs', 'hooked'],
  ['--conditions=test'],
  ['--env-file=FOLDER/variables', 'read'],
  ['--localstorage-file=FOLDER/storage'],
  ['--heapsnapshot-near-heap-limit=1'],
  ['--inspect=0'],
  ['--jitless'],
  ['--throw-deprecation'],
];

test.each(harmless)('jobs run under %s', async (option, result = 'done') => {
  const options = inFolder([option]);
  if (!isLinux || !hasOptions(options)) return;
  const args = [...threadless, ...options, program];
  const { code, stdout } = await runNode(args, { cwd: folder });
  expect(stdout).toBe(printed(result));
  expect(code).toBe(0);
});

testIf(isLinux)(
  'jobs are spawned under --frozen-intrinsics, and no process is forked',
  async () => {
    for (const option of ['--frozen-intrinsics', '--frozen_intrinsics']) {
      const args = [...threadless, option, program];
      const { code, stdout, stderr } = await runNode(args);
      expect(stdout).toBe(
        'spawn spawn done\nforkserver spawn done\nfork ERR_JOBSERVER_FORK\n',
      );
      expect(stderr).toMatch(/JOBSERVER_NO_FORKSERVER.*Math is frozen/);
      expect(code).toBe(0);
    }
  },
);

testIf(isLinux)(
  'jobs are forked without the options of a program that cannot be forked',
  async () => {
    const alone = resolve('test', 'fixtures', 'alone-program.mjs');
    const { code, stdout, stderr } = await runNode([
      '--frozen-intrinsics',
      alone,
    ]);
    expect(stdout.split('\n')).toEqual([
      'alone forkserver none',
      'reused forkserver none',
      'own spawn --frozen-intrinsics',
      'own/alone forkserver none',
      'alone/own forkserver none',
      '',
    ]);
    // About the third job.
    expect(stderr.match(/JOBSERVER_NO_FORKSERVER/g)).toHaveLength(1);
    expect(code).toBe(0);
  },
);

testIf(isLinux)(
  'jobs without the options of the program keep its permissions',
  async () => {
    const alone = resolve('test', 'fixtures', 'alone-program.mjs');
    const model = ['--permission', '--experimental-permission'].find((option) =>
      hasOptions([option, '--allow-fs-read=*']),
    )!;
    const permissions = ['--allow-addons', '--allow-child-process'];
    const kept = [model, ...permissions, '--allow-fs-read', '*'];
    const { stdout } = await runNode([...kept, '--trace-uncaught', alone]);
    expect(stdout.split('\n')).toEqual([
      `alone forkserver ${kept.join()}`,
      `reused forkserver ${kept.join()}`,
      `own forkserver ${kept.join()},--trace-uncaught`,
      `own/alone forkserver ${kept.join()}`,
      `alone/own forkserver ${kept.join()}`,
      '',
    ]);
  },
);

testIf(isLinux)(
  'under --cpu-prof, the program and spawned jobs write a profile',
  async () => {
    const options = inFolder(['--cpu-prof', '--cpu-prof-dir=FOLDER/profiles']);
    const { stdout } = await runNode([...threadless, ...options, program]);
    expect(stdout).toBe(printed('done'));
    expect(readdirSync(join(folder, 'profiles'))).toHaveLength(2);
  },
);
