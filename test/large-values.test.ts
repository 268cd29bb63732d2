// Large values on systems that lack what they travel by, or have little of it.
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { testIf } from './helpers/context.js';
import { useFolder } from './helpers/folder.js';
import { type Ended, runNode, runProgram } from './helpers/program.js';
import { timeoutFactor } from './helpers/until.js';

// Seventy thousand buffers take long.
jest.setTimeout(200_000 * timeoutFactor);

const program = resolve('test', 'fixtures', 'large-values.mjs');
const mega = 1 << 20;
const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;
const memfdCreate = process.arch === 'x64' ? 319 : 279;

/** What the program prints for each length. */
interface Outcome {
  readonly length: number;
  readonly argument: number | string;
  readonly result: string;
  readonly both: string;
  readonly moved: string;
  readonly detached: boolean;
  readonly shared: number | string;
  readonly same: boolean | string;
  readonly constant: number | string;
  readonly again: string;
}

const outcomesOf = (ended: Ended): Outcome[] => {
  expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
  return JSON.parse(ended.stdout) as Outcome[];
};

const right = {
  ...{ argument: 3, result: 'ok', both: 'ok', moved: 'ok', detached: true },
  ...{ shared: 1, same: true, constant: 3, again: 'text' },
};
const allRight = [40_000, mega, 3 * mega].map((length) => ({
  length,
  ...right,
}));

describe.each([
  ['spawn', '1'],
  ['forkserver', '1'],
  ['spawn', 'Infinity'],
  ['forkserver', 'Infinity'],
])('context %s with %s jobs per process', (context, jobs) => {
  const args = [program, context, jobs];
  const folder = useFolder();
  const limited = (...limits: string[]): Promise<Ended> =>
    runProgram('prlimit', [...limits, process.execPath, ...args]);

  test('large values arrive', async () => {
    expect(outcomesOf(await runNode(args))).toEqual(allRight);
  });

  testIf(process.platform === 'linux')(
    'large values arrive without memfd_create',
    async () => {
      const without = join(folder(), 'without-syscalls');
      const source = resolve('test', 'fixtures', 'without-syscalls.c');
      expect(spawnSync('cc', ['-o', without, source]).status).toBe(0);
      const node = [process.execPath, ...args];
      const ended = await runProgram(without, [
        `${memfdCreate}`,
        '--',
        ...node,
      ]);
      expect(outcomesOf(ended)).toEqual(allRight);
    },
  );

  testIf(hasPrlimit)(
    'what is larger than a file may be is refused, or travels without one',
    async () => {
      const ended = await limited('--fsize=2000000');
      const [small, mid, large] = outcomesOf(ended);
      expect([small, mid]).toEqual(allRight.slice(0, 2));
      const code = 'EFBIG';
      expect(large).toEqual({
        ...{ length: 3 * mega, argument: code, both: code, moved: code },
        ...{ detached: true, shared: code, same: code },
        ...{ constant: code, again: 'text' },
        // Only what a process of several jobs sends has to be a file.
        result: jobs === '1' ? 'ok' : code,
      });
    },
  );

  testIf(hasPrlimit)(
    'where there are few descriptors, a call gets through or says so',
    async () => {
      for (const count of [24, 32, 40]) {
        const ended = await limited(`--nofile=${count}`);
        for (const outcome of outcomesOf(ended)) {
          for (const [key, value] of Object.entries(outcome)) {
            const rightValue = { length: outcome.length, ...right }[key];
            expect(['EMFILE', rightValue]).toContain(value);
          }
        }
      }
    },
  );

  testIf(hasPrlimit)(
    'large values arrive where 200 descriptors are allowed',
    async () => {
      const ended = await limited('--nofile=200');
      expect(outcomesOf(ended)).toEqual(allRight);
    },
  );
});

testIf(process.platform === 'linux')(
  'a process that keeps thousands of buffers maps no more than it may',
  async () => {
    const values = resolve('test', 'soak', 'values.mjs');
    const args = [values, '--many=3000', 'parts'];
    const ended = await runNode(args, { limitMs: 100_000 });
    expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
  },
);
