import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

// From dist-test/scripts/, where the compiled test is.
const root = join(__dirname, '..', '..');

// Modules that other scripts import, and a program that npm runs before it packs.
const modules = [
  'command',
  'darwin',
  'macho-signature',
  'npm-package',
  'other-nodes',
  'link',
  'pack',
  'prebuilds',
  'redis',
  'stage',
  'vitest-report',
  'vitest-suites',
];
const programs = [
  ...readdirSync(join(root, 'scripts'))
    .filter((name) => name.endsWith('.mjs'))
    .filter((name) => !modules.includes(name.replace('.mjs', '')))
    .map((name) => `scripts/${name}`),
  'bench/run.mjs',
];
// These pass on what they do not know to jest, which rejects it.
const forJest = programs.filter((program) =>
  readFileSync(join(root, program), 'utf8').includes('jestCommandLine'),
);
const strict = programs.filter((program) => !forJest.includes(program));

function run(
  program: string,
  ...args: string[]
): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [join(root, program), ...args], {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
  });
}

test.each(programs)(
  '%s --help prints its usage and does nothing',
  (program) => {
    const { status, stdout, stderr } = run(program, '--help');

    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`^Usage: node ${program}`));
  },
);

test.each(strict)('%s rejects an option that it does not have', (program) => {
  const { status, stdout, stderr } = run(program, '--no-such-option');

  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(/^Unknown option '--no-such-option'/);
  expect(stderr).toContain(`Usage: node ${program}`);
});

test('scripts/test.mjs passes the options of jest on', () => {
  const args = ['--no-build', '--listTests', '-t', 'x', 'slots/cpu-quota'];
  const { status, stdout } = run('scripts/test.mjs', ...args);

  expect(status).toBe(0);
  expect(stdout.trim()).toMatch(/slots\/cpu-quota\.test\.js$/);
});

test('scripts/test.mjs fails for an option that jest does not have', () => {
  const { status, stderr } = run(
    'scripts/test.mjs',
    '--no-build',
    '--nonsense',
  );

  expect(status).toBe(1);
  expect(stderr).toContain('Unrecognized option "nonsense"');
});
