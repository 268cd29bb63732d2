// A pool that looks like that of a make, but whose bytes the test can count.
import { spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '../../dist/system/binding.js';
import { type FdState, type Span, fdState } from '../fixtures/make/jobs.js';
import { overlap, program, runProgram, start } from '../fixtures/make/run.js';
import { checkLeaks } from '../helpers/leaks.js';
import { until } from '../helpers/until.js';

const isLinux = process.platform === 'linux';
const contexts = isLinux ? ['forkserver', 'spawn'] : ['spawn'];
const context = contexts[0]!;
// With values that are no characters, or no characters of make's.
const bytes = [0x00, 0x7f, 0xff, 0x2b, 0x61];
const notJoined = 'JOBSERVER_NO_MAKE';

interface Pool {
  readonly makeflags: string;
  /** For the program to inherit. */
  readonly fds: readonly number[];
  readonly reader: number;
  /** Which are free, in order of their value. */
  free(): number[];
}

let directory: string;
const opened: number[] = [];

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'make-'));
});
afterEach(() => {
  for (const fd of opened.splice(0)) closeSync(fd);
});
afterAll(() => rmSync(directory, { recursive: true }));
checkLeaks();

let names = 0;

function newName(): string {
  return join(directory, String(names++));
}

function poolOver(
  reader: number,
  writer: number,
  tokens: readonly number[],
): Omit<Pool, 'makeflags' | 'fds'> {
  opened.push(reader, writer);
  const buffer = new Uint8Array(4096);
  native.write(writer, Uint8Array.from(tokens), 0, tokens.length);
  const free = (): number[] => {
    // A blocking reader: look before.
    const isReadable = native.poll(Int32Array.of(reader, 1), 1, 0) > 0;
    const count = isReadable ? native.read(reader, buffer, 0, 4096) : 0;
    native.write(writer, buffer, 0, count);
    return [...buffer.subarray(0, count)].sort((a, b) => a - b);
  };
  return { reader, free };
}

function fifoPool(tokens: readonly number[]): Pool {
  const path = newName();
  spawnSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const pool = poolOver(reader, openSync(path, constants.O_WRONLY), tokens);
  return { ...pool, makeflags: ` -j9 --jobserver-auth=fifo:${path}`, fds: [] };
}

/** Both ends in blocking mode, as the manual of make demands. */
function pipePool(tokens: readonly number[], word = '--jobserver-auth'): Pool {
  const ends = new Int32Array(2);
  native.pipe(ends);
  const pool = poolOver(ends[0]!, ends[1]!, tokens);
  return { ...pool, makeflags: ` -j9 ${word}=3,4`, fds: [...ends] };
}

const pools = [
  ['fifo', fifoPool],
  ...(isLinux ? [['pipe', pipePool] as const] : []),
] as const;
const cases = pools.flatMap(([style, makePool]) =>
  contexts.map((each) => [style, each, makePool] as const),
);

function inOrder(values: readonly number[]): number[] {
  return [...values].sort((a, b) => a - b);
}

describe.each(cases)('a pool of %s style, %s context', (_, name, makePool) => {
  test('jobs run in its slots and give the bytes back as they were (MKF-01, MKF-07, QUE-08)', async () => {
    const pool = makePool(bytes);
    const run = await runProgram(['spans', name, '24', '40'], pool);
    expect(overlap(run.found as Span[])).toBeLessThanOrEqual(bytes.length + 1);
    expect(run.warnings).toEqual([]);
    expect(pool.free()).toEqual(inOrder(bytes));
  });

  test('it does not tell the number of its slots, and many Jobservers join it (MKF-01, CON-01)', async () => {
    const pool = makePool(bytes);
    const run = await runProgram(['count', name], pool);
    expect(run).toEqual({ found: { slots: [null, null] }, warnings: [] });
    expect(pool.free()).toEqual(inOrder(bytes));
  });

  test('an explicit number of slots leaves it alone (MKF-01)', async () => {
    const pool = makePool(bytes);
    const run = await runProgram(['count', name, '2'], pool);
    expect(run).toEqual({ found: { slots: [2, 2] }, warnings: [] });
  });

  test('a job works in the slots that it runs under (MKF-09, MKF-12)', async () => {
    const pool = makePool(bytes.slice(0, 2));
    const joined = await runProgram(['nested', name], pool);
    const { slots, spans } = joined.found as { slots: null; spans: Span[] };
    expect(slots).toBe(null);
    expect(overlap(spans)).toBeLessThanOrEqual(2);
    expect(pool.free()).toEqual(inOrder(bytes.slice(0, 2)));

    const own = await runProgram(['nested', name, '3'], pool);
    expect(own.found).toMatchObject({ slots: 3 });
    expect(own.warnings).toEqual([]);
  });

  test('all Jobservers of a process have one slot without a byte (MKF-08)', async () => {
    const pool = makePool([]);
    const run = await runProgram(['shareOwnSlot', name, newName()], pool);
    expect(run.found).toEqual({ found: ['first', 'Blocked', 'third'] });
    expect(pool.free()).toEqual([]);
  });

  test('without a token it runs one job after the other (MKF-08, MKF-10)', async () => {
    const pool = makePool([]);
    const run = await runProgram(['spans', name, '5', '20'], pool);
    expect(overlap(run.found as Span[])).toBe(1);
    expect(pool.free()).toEqual([]);
  });

  const whenDying = isLinux ? test : test.skip; // Needs an orphan signal.

  whenDying.each(['SIGTERM', 'SIGINT', 'SIGKILL'] as const)(
    'jobs of a process that dies of %s give their bytes back (XC-41, MKF-07)',
    async (signal) => {
      const pool = makePool(bytes);
      const args = [program, 'hold', name, '4'];
      const { child, ended, stdout } = start(process.execPath, args, pool);
      await until('jobs to run', () => stdout().includes('pids'));
      expect(pool.free()).toHaveLength(2);
      child.kill(signal);
      expect((await ended).signal).toBe(signal);
      await until('all bytes', () => pool.free().length === bytes.length);
      expect(pool.free()).toEqual(inOrder(bytes));
    },
  );

  whenDying(
    'jobs of a process that calls exit give their bytes back (XC-25, XC-41)',
    async () => {
      const pool = makePool(bytes);
      const args = [program, 'hold', name, '4', 'exit'];
      const { ended } = start(process.execPath, args, pool);
      expect((await ended).code).toBe(0);
      await until('all bytes', () => pool.free().length === bytes.length);
      expect(pool.free()).toEqual(inOrder(bytes));
    },
  );
});

(isLinux ? describe : describe.skip)('an inherited pipe', () => {
  test.each(contexts)(
    'it stays in blocking mode, and %s jobs get a description of their own (XC-20, MKF-11, QUE-09)',
    async (name) => {
      const pool = pipePool(bytes);
      const { link } = fdState(pool.reader);
      const blocking: FdState = { link, isNonBlocking: false };
      const run = await runProgram(['modes', name], pool);
      expect(run.found).toEqual({
        hasMake: false,
        before: blocking,
        during: blocking,
        after: blocking,
        job: { link, isNonBlocking: true },
      });
      expect(fdState(pool.reader)).toEqual(blocking);
    },
  );

  test('the name of old makes does as well (MKF-02)', async () => {
    const pool = pipePool(bytes, '--jobserver-fds');
    const run = await runProgram(['count', context], pool);
    expect(run).toEqual({ found: { slots: [null, null] }, warnings: [] });
  });

  test.each(['4,5', '6,7', '11,12', '13,14', '15,16', '17,18'])(
    "pipes of Node's own are not taken for one of make: %s (MKF-05)",
    async (numbers) => {
      const makeflags = `--jobserver-auth=${numbers}`;
      const run = await runProgram(['staleNumbers', context], { makeflags });
      expect(run.found).toEqual({ handled: 20, isDone: true });
      expect(run.warnings.map(({ code }) => code)).toEqual([notJoined]);
    },
  );

  test('ends that are swapped are refused (MKF-05)', async () => {
    const pool = pipePool(bytes);
    const makeflags = '--jobserver-auth=4,3';
    const run = await runProgram(['count', context], { ...pool, makeflags });
    expect(run.warnings).toMatchObject([
      { message: expect.stringContaining('fd 4 is not a pipe open for reading') },
    ]);
    expect(pool.free()).toEqual(inOrder(bytes));
  });

  test('ends of different pipes are refused (MKF-05)', async () => {
    const [a, b] = [pipePool(bytes), pipePool(bytes)];
    const fds = [a.fds[0]!, b.fds[1]!];
    const run = await runProgram(['count', context], { ...a, fds });
    expect(run.warnings).toMatchObject([
      { message: expect.stringContaining('different pipes') },
    ]);
  });
});

describe('a job server that cannot be used', () => {
  const env = { JOBSERVER_SLOTS: '7' };

  test.each([
    ['--jobserver-auth=fifo:/nonexistent/fifo', 'ENOENT'],
    ['--jobserver-auth=fifo:/', ''],
    ['--jobserver-auth=fifo:/dev/null', ''],
    ['--jobserver-auth=91,92', ''],
    ['--jobserver-fds=91,92', ''],
    ['--jobserver-auth=0,1', ''],
    ['--jobserver-auth=', 'unknown kind'],
    ['--jobserver-auth=3', 'unknown kind'],
    ['--jobserver-auth=3,x', 'unknown kind'],
    ['--jobserver-auth=semaphore', 'unknown kind'],
  ])(
    '%s is replaced by slots of our own, with one warning (MKF-03, MKF-05)',
    async (makeflags, why) => {
      const run = await runProgram(['count', context], { makeflags, env });
      expect(run.found).toEqual({ slots: [7, 7] });
      expect(run.warnings).toEqual([
        { code: notJoined, message: expect.stringContaining(why) },
      ]);
      expect(run.warnings[0]!.message).toContain(makeflags);
    },
  );

  test('a file is neither read nor written as if it were a fifo (MKF-05)', async () => {
    const path = newName();
    writeFileSync(path, '+++');
    const makeflags = `--jobserver-auth=fifo:${path}`;
    const run = await runProgram(['count', context], { makeflags, env });
    expect(run.found).toEqual({ slots: [7, 7] });
    expect(run.warnings[0]!.message).toContain('is not a fifo');
  });

  test('negative numbers leave one slot, with a warning that tells of + (MKF-03)', async () => {
    const makeflags = ' -j4 --jobserver-auth=3,4 --jobserver-auth=-2,-2';
    const run = await runProgram(['count', context], { makeflags, env });
    expect(run.found).toEqual({ slots: [1, 1] });
    expect(run.warnings).toEqual([
      { code: notJoined, message: expect.stringContaining("put '+' in front") },
    ]);
  });

  test.each([
    ['', 7],
    [' -j', 7],
    [' -j4', 7],
    [' -- X=--jobserver-auth=3,4', 7],
    [' -j1', 1],
  ])('MAKEFLAGS=%j names none: no warning (MKF-03)', async (makeflags, n) => {
    const run = await runProgram(['count', context], { makeflags, env });
    expect(run).toEqual({ found: { slots: [n, n] }, warnings: [] });
  });
});
