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

/** What one job before the change and one after it have inherited. */
interface Jobs {
  readonly before: Inherited;
  readonly after: Inherited;
  readonly warnings: readonly string[];
}

/** `modes`: what starts the jobs, and how many of them share a process. */
async function checkChange(
  modes: readonly (readonly [Context, jobsPerProcess: number])[],
  change: string,
  changed: readonly string[],
): Promise<void> {
  const [[context]] = modes as [[Context, number]];
  const args = [change, ...modes.map(([name, count]) => `${name} ${count}`)];
  const { expected, jobs } = (await runFixture('program', context, args)) as {
    expected: Inherited;
    jobs: Jobs[];
  };
  const found = jobs.map(({ before, after, warnings }, i) => ({
    mode: modes[i],
    after,
    differing: Object.keys(before).filter(
      (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
    ),
    warnings,
  }));
  // A process that may regain its capabilities can hide where it is. It warns once.
  const warned =
    change === 'effective users'
      ? modes.findIndex(([name]) => name === 'forkserver')
      : -1;
  expect(found).toEqual(
    modes.map((mode, i) => ({
      mode,
      after: expected,
      differing: changed,
      warnings: i === warned ? ['JOBSERVER_NO_FORKSERVER'] : [],
    })),
  );
}

const modes = {
  // One program has all of them, since the changes are its own. What it starts
  // itself, and the change, are the same for each.
  'spawn and forkserver': [
    ['spawn', 1],
    ['spawn', Infinity],
    ['forkserver', 1],
    ['forkserver', Infinity],
  ],
  fork: [['fork', 1]],
} as const;

describe.each(Object.entries(isLinux ? modes : {}))(
  'a job of %s has what its submitter has',
  (_, of) => {
    for (const [change, changed] of Object.entries(changes)) {
      test(`after a change of ${change}`, () =>
        checkChange(of, change, changed));
    }
    for (const [change, changed] of Object.entries(changesOfRoot)) {
      testIf(isRoot && isShared())(`after a change of ${change}`, () =>
        checkChange(of, change, changed),
      );
    }
  },
);

test.each(contexts)(
  'a %s job has a title that says what it is',
  async (name) => {
    expect(await runFixture('title', name, [])).toBe('jobserver-worker');
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
