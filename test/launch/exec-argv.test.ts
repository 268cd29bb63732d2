import { ownExecArgv, workerExecArgv } from '../../dist/launch/exec-argv.js';

const kept: string[][] = [
  [],
  ['--import', 'tsx'],
  ['--import=tsx', '--require', './hook.cjs', '-r', './other.cjs'],
  ['--loader', './loader.mjs', '--experimental-loader=./loader.mjs'],
  ['--conditions=test', '-C', 'test'],
  ['--enable-source-maps', '--no-warnings', '--throw-deprecation'],
  ['--max-old-space-size=100', '--stack-size=2000', '--expose-gc'],
  ['--unhandled-rejections=strict'],
  ['--single-threaded', '--v8-pool-size=1'],
  ['--experimental-strip-types'],
  // Names that only contain those of dropped options.
  ['--trace-warnings', '--titles=x', '--no-test'],
];

const dropped: string[][] = [
  ['--inspect'],
  ['--inspect=0', '--inspect-brk=127.0.0.1:9229', '--inspect-wait'],
  ['--inspect-port', '9230'],
  ['--inspect-port=9230'],
  ['--debug-port', '9230'],
  ['-e', 'code'],
  ['--eval', 'code'],
  ['--eval=code'],
  ['-p', 'code'],
  ['-pe', 'code'],
  ['--print', 'code'],
  ['-c'],
  ['--check'],
  ['-i'],
  ['--interactive'],
  ['--run', 'script'],
  ['--test'],
  ['--test', '--test-name-pattern', 'x', '--test-reporter=spec'],
  ['--test-reporter', 'tap', '--test-reporter-destination', 'stdout'],
  ['--test-concurrency', '2', '--test-timeout', '100', '--test-shard', '1/2'],
  ['--watch'],
  ['--watch-path', './lib', '--watch-preserve-output'],
  ['--input-type', 'module'],
  ['--input-type=module'],
  ['--env-file', '.env'],
  ['--env-file=.env', '--env-file-if-exists', '.env.local'],
  ['--title', 'parent'],
  ['--title=parent'],
];

test.each(kept.map((options) => [options.join(' '), options] as const))(
  'workers get %j',
  (_, options) => {
    expect(workerExecArgv(options)).toEqual(options);
  },
);

test.each(dropped.map((options) => [options.join(' '), options] as const))(
  'workers do not get %s',
  (_, options) => {
    expect(workerExecArgv(options)).toEqual([]);
    const between = ['--import', 'tsx', ...options, '--no-warnings'];
    expect(workerExecArgv(between)).toEqual([
      '--import',
      'tsx',
      '--no-warnings',
    ]);
  },
);

test('the array of options is not changed', () => {
  const options = Object.freeze(['--inspect', '--no-warnings']);
  expect(workerExecArgv(options)).toEqual(['--no-warnings']);
});

const permissions = [
  '--permission',
  '--allow-fs-read=/a',
  '--allow-fs-write',
  '/b',
  '--allow-worker',
];

test('workers that inherit none get the added options and the permissions', () => {
  const options = ['--import', 'tsx', ...permissions, '--allow-natives-syntax'];
  expect(ownExecArgv(options)).toEqual(permissions);
  const added = ['--no-warnings'];
  expect(ownExecArgv(options, added)).toEqual([...permissions, ...added]);
  expect(ownExecArgv(['--import', 'tsx'], added)).toEqual(added);
});

test('an added permission is one more', () => {
  const added = ['--allow-wasi'];
  expect(ownExecArgv(permissions, added)).toEqual([...permissions, ...added]);
});

test.each(['--permission', '--experimental-permission'])(
  'an added %s takes the place of the permissions',
  (option) => {
    expect(ownExecArgv(permissions, [option])).toEqual([option]);
  },
);

test('equal calls in a row return the same array, for each kind of worker', () => {
  const added = ['--no-warnings'];
  const all = (): unknown[] =>
    [ownExecArgv, workerExecArgv].map((of) => of(['--jitless'], added));
  const [own, inherited] = all();
  expect([own, inherited]).toEqual([added, ['--jitless', ...added]]);
  all().forEach((each, i) => expect(each).toBe([own, inherited][i]));
});
