// Jobs under the permission model of Node.
import { resolve } from 'node:path';
import { type Ended, runNode } from '../helpers/program.js';
import { testIf } from '../helpers/context.js';

const isLinux = process.platform === 'linux';
const enable = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission';
const read = (path: string): string => `--allow-fs-read=${path}`;
const readPackage = [read(`${resolve('.')}/`), read('/proc/')];
const readAll = [...readPackage, read('/etc/alpine-release')];
// As permission-jobs.mjs prints them.
const granted = 'true false true false false';

const run = (...options: string[]): Promise<Ended> =>
  runNode([
    // So that the process can be forked.
    ...['--single-threaded', '--v8-pool-size=1'],
    ...[enable, ...options],
    resolve('test', 'fixtures', 'permission-program.mjs'),
  ]);

testIf(isLinux)(
  'jobs run with the documented permissions, and have those of the program',
  async () => {
    const options = ['--allow-addons', '--allow-child-process', ...readAll];
    const { code, stdout } = await run(...options);
    const who = ['spawn', 'forkserver', 'fork', 'program'];
    expect(stdout).toBe(who.map((name) => `${name} ${granted}\n`).join(''));
    expect(code).toBe(0);
  },
);

testIf(isLinux)(
  'a submit is refused without --allow-child-process, in each context',
  async () => {
    const { stdout } = await run('--allow-addons', ...readAll);
    for (const context of ['spawn', 'forkserver', 'fork']) {
      expect(stdout).toMatch(
        new RegExp(
          `^${context} ERR_ACCESS_DENIED: .*--allow-child-process$`,
          'm',
        ),
      );
    }
  },
);

test('the error for a missing binary names the permission', async () => {
  const { stderr } = await run(...readAll);
  expect(stderr).toMatch(/ERR_JOBSERVER_NO_BINARY/);
  expect(stderr).toMatch(/ Run node with --allow-addons$/m);
});

testIf(isLinux)(
  'the error for a missing binary names the file that may not be read',
  async () => {
    const { stderr } = await run('--allow-addons', ...readPackage);
    expect(stderr).toMatch(/ Run node with --allow-fs-read=\/etc\/alpine/);
  },
);
