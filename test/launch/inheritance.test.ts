// What a job inherits: the same as a program that its submitter starts at that
// moment. Each test runs a program, because most changes cannot be undone.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Context } from '../../dist/context.js';
import { reportKinds } from '../../dist/protocol/fds.js';
import { testIf } from '../helpers/context.js';
import { runNode } from '../helpers/program.js';

const fixtures = resolve('test', 'fixtures', 'inheritance');
const isLinux = process.platform === 'linux';
const isRoot = process.getuid!() === 0;
const anotherUser = 1002;
const contexts: Context[] = isLinux ? ['spawn', 'forkserver', 'fork'] : [];

/** What each change changes. Those of the second list need root. */
const changes: Record<string, string[]> = {
  nothing: [],
  umask: ['status'],
  'nice level': ['nice'],
  affinity: ['status'],
  'scheduling policy': ['policy'],
  'soft limit': ['limits'],
  'hard limit': ['limits'],
  'oom score': ['oomScoreAdjustment'],
  directory: ['cwd'],
  'removed directory': ['cwd'],
  no_new_privs: ['status'],
  'process group': ['processGroup'],
  session: ['processGroup', 'session'],
  'timer slack': ['timerSlack'],
};
const changesOfRoot: Record<string, string[]> = {
  users: ['status'],
  'effective users': ['status'],
  groups: ['status'],
  seccomp: ['status'],
  'bounding set': ['status'],
  'uts namespace': ['namespaces'],
  'network namespace': ['namespaces'],
  'mount namespace': ['namespaces'],
};

let folder: string;
let library: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'jobserver-'));
  chmodSync(folder, 0o777);
  if (!isLinux) return;
  library = join(folder, 'change.so');
  const source = join(fixtures, 'change.c');
  const args = ['-shared', '-fPIC', '-o', library, source];
  const { status, stderr } = spawnSync('cc', args);
  if (status !== 0) throw new Error(String(stderr));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Whether other users can load the package from this folder. */
function isShared(): boolean {
  const script = `require(${JSON.stringify(resolve('dist'))})`;
  const args = ['-e', script];
  return spawnSync(process.execPath, args, { uid: anotherUser }).status === 0;
}

async function runFixture(
  name: string,
  context: Context,
  args: readonly string[],
): Promise<unknown> {
  const flags =
    context === 'fork' ? ['--single-threaded', '--v8-pool-size=1'] : [];
  const file = join(fixtures, `${name}.mjs`);
  const env = { ...process.env, FOLDER: folder, LIBRARY: library };
  const { code, stdout, stderr } = await runNode(
    [...flags, file, context, ...args],
    { env, cwd: folder },
  );
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

type Inherited = Readonly<Record<string, unknown>>;

async function checkChange(
  context: Context,
  change: string,
  changed: readonly string[],
  jobsPerProcess = 1,
): Promise<void> {
  const { before, after, expected, warnings } = (await runFixture(
    'program',
    context,
    [change, String(jobsPerProcess)],
  )) as Record<'before' | 'after' | 'expected', Inherited> & {
    warnings: string[];
  };
  expect(after).toEqual(expected);
  const differing = Object.keys(before).filter(
    (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  );
  expect(differing).toEqual(changed);
  // A process that may regain its capabilities can hide where it is.
  const isSpawned = context === 'forkserver' && change === 'effective users';
  expect(warnings).toEqual(isSpawned ? ['JOBSERVER_NO_FORKSERVER'] : []);
}

describe.each(contexts)('a %s job has what its submitter has', (context) => {
  for (const [change, changed] of Object.entries(changes)) {
    test(`after a change of ${change}`, () =>
      checkChange(context, change, changed));
  }
  for (const [change, changed] of Object.entries(changesOfRoot)) {
    testIf(isRoot && isShared())(`after a change of ${change}`, () =>
      checkChange(context, change, changed),
    );
  }

  test('and a title that says what it is', async () => {
    expect(await runFixture('title', context, [])).toBe('jobserver-worker');
  });
});

describe.each(['spawn', 'forkserver'] as const)(
  'a %s job in a process of several jobs has what its submitter has',
  (context) => {
    for (const [change, changed] of Object.entries(changes)) {
      test(`after a change of ${change}`, () =>
        checkChange(context, change, changed, Infinity));
    }
    for (const [change, changed] of Object.entries(changesOfRoot)) {
      testIf(isRoot && isShared())(`after a change of ${change}`, () =>
        checkChange(context, change, changed, Infinity),
      );
    }
  },
);

describe('a submitter that gives up the rights of root', () => {
  testIf(isRoot && isShared())(
    'cannot have its former zygote start a job',
    async () => {
      const { started, mismatch } = reportKinds;
      const kinds = await runFixture('forged', 'forkserver', []);
      expect(kinds).toEqual([started, mismatch]);
    },
  );

  for (const context of ['spawn', 'forkserver'] as const) {
    testIf(isRoot && isShared())(
      `gets an error that names the file which a ${context} job may not read`,
      async () => {
        const hidden = join(folder, `hidden-${context}`);
        mkdirSync(hidden);
        const module = join(hidden, 'job.mjs');
        writeFileSync(module, 'export default () => 1;\n');
        chmodSync(hidden, 0o700);
        const url = pathToFileURL(module).href;
        expect(await runFixture('dropped', context, [url])).toEqual({
          code: 'EACCES',
          message: `EACCES: user ${anotherUser} and group 1001 may not read ${module}, which the job needs`,
        });
      },
    );
  }
});
