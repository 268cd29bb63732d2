// What the first words of the command mean, and what it says about wrong ones.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Ended, runNode } from '../helpers/program.js';

const main = resolve('dist', 'cli', 'main.js');

function jobserver(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const { JOBSERVER_URL: _url, JOBSERVER_KEY: _key, ...rest } = process.env;
  return runNode([main, ...args], { env: { ...rest, ...env } });
}

async function refused(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await jobserver(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  return stderr;
}

test('the package names an executable file as its command', () => {
  const { bin } = JSON.parse(readFileSync('package.json', 'utf8'));

  expect(bin).toEqual({ jobserver: 'dist/cli/main.js' });
  expect(readFileSync(main, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
});

describe('help', () => {
  test.each([['--help'], ['-h']])('%s lists the commands', async (option) => {
    const { code, stdout, stderr } = await jobserver([option]);

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: jobserver COMMAND/);
    expect(stdout).toMatch(/^ {2}worker /m);
    expect(stdout).toMatch(/^ {2}status /m);
  });

  test.each(['worker', 'status'])(
    'jobserver %s --help prints its usage, whatever else is given',
    async (command) => {
      const { code, stdout, stderr } = await jobserver([
        command,
        '--no-such-option',
        '--help',
      ]);

      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(new RegExp(`^Usage: jobserver ${command} `));
      expect(Math.max(...stdout.split('\n').map((l) => l.length))).toBeLessThan(
        90,
      );
    },
  );

  test('--version prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    const ended = await jobserver(['--version']);

    expect(ended).toMatchObject({ code: 0, stdout: `${version}\n` });
  });
});

test('no command line that is wrong loads bullmq', async () => {
  const hook = resolve('test', 'fixtures', 'cli', 'loaded.cjs');
  const env = { ...process.env, NODE_OPTIONS: `--require=${hook}` };
  const args = [main, 'worker', '--slots=0', 'redis://localhost'];
  const { stderr } = await runNode(args, { env });

  expect(stderr).toMatch(/^loaded:/m);
  expect(stderr).not.toMatch(/bullmq|ioredis/);
});

describe('the first word', () => {
  test('is needed', async () => {
    expect(await refused()).toBe(
      'jobserver: A command is missing\nSee `jobserver --help`.\n',
    );
  });

  test.each(['node', 'make', './run.sh', 'Worker', '', '__proto__'])(
    '%p is no program to run: the error lists what there is',
    async (word) => {
      const text = await refused(word, '-e', 'process.exit(0)');

      expect(text).toContain(
        `There is no command ${JSON.stringify(word)}. There are worker and status`,
      );
    },
  );

  test.each(['each', 'all', 'take', 'env', 'trace'])(
    '%s is reserved',
    async (word) => {
      expect(await refused(word, 'true')).toContain(
        `\`jobserver ${word}\` does not exist yet`,
      );
    },
  );

  test.each([
    ['--', 'true'],
    ['-j', '4', '--', 'make'],
    ['-j4', '--output', 'group', '--', 'make'],
  ])('no program is run yet: %s %s', async (...args) => {
    expect(await refused(...args)).toContain('`jobserver -- CMD` is reserved');
  });

  test.each(['--no-such-option', '-x'])(
    'cannot be the option %s',
    async (option) => {
      expect(await refused(option)).toContain(`Unknown option '${option}'`);
    },
  );
});

describe.each(['worker', 'status'])('jobserver %s', (command) => {
  test('needs a URL', async () => {
    const text = await refused(command);

    expect(text).toContain('The URL of Redis is missing');
    expect(text).toContain(`See \`jobserver ${command} --help\`.`);
  });

  test('shows no URL that is wrong, because it may have a password', async () => {
    const text = await refused(command, 'http://me:secret@localhost');

    expect(text).toContain('redis://HOST:PORT');
    expect(text).not.toContain('secret');
  });

  test('takes one URL', async () => {
    expect(await refused(command, 'redis://a', 'redis://b')).toContain(
      'Only one URL',
    );
  });

  test('has no option for the key itself, and does not repeat it', async () => {
    const text = await refused(command, '--key=secret', 'redis://localhost');

    expect(text).toContain('--key-file');
    expect(text).not.toContain('secret');
  });

  test('says which file of the key is missing', async () => {
    const args = ['--key-file=no/such/file', 'redis://localhost'];

    expect(await refused(command, ...args)).toContain(
      '--key-file no/such/file cannot be read: ENOENT',
    );
  });

  test('rejects an option that it does not have', async () => {
    const text = await refused(command, '--no-such-option');

    expect(text).toContain("Unknown option '--no-such-option'");
  });
});

describe('jobserver worker', () => {
  test.each([
    ['--slots=0', '--slots has to be a number from 1 to 4096'],
    ['-j5000', '--slots has to be a number from 1 to 4096'],
    ['-jmany', '--slots has to be a number from 1 to 4096'],
    ['--max=0', '--max has to be an integer above 0'],
    ['--jobs-per-process=0', 'an integer above 0, or Infinity'],
    ['--lease=1s', '--lease has to be an integer above 0'],
    ['--log=xml', '--log has to be text or json'],
    ['--log-interval=-1', '--log-interval has to be a number of seconds'],
    ['--context=fork', '--context has to be forkserver or spawn'],
    ['--health=99999', '--health has to be PORT or HOST:PORT'],
    ['--metrics=a:b:1', '--metrics has to be PORT or HOST:PORT'],
    ['--root=no/such/folder', 'no/such/folder is no folder'],
    ['--root=package.json', 'package.json is no folder'],
  ])('refuses %s', async (option, message) => {
    expect(await refused('worker', option, 'redis://localhost')).toContain(
      message,
    );
  });
});
