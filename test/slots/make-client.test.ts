// Programs that run under a job server which looks like that of make, but whose
// tokens the test itself writes and counts.
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
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
// Token bytes: make writes only '+' (0x2b), but any byte is a token.
const bytes = [0x00, 0x7f, 0xff, 0x2b, 0x61];
const notJoined = 'JOBSERVER_NO_MAKE';

interface Pool {
  readonly makeflags: string;
  /** The fds that the program inherits. */
  readonly fds: readonly number[];
  readonly reader: number;
  /** The tokens in the pipe, in order of their value. */
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
    // The reader may be in blocking mode, and the pipe empty.
    const isReadable = native.poll(Int32Array.of(reader, 1), 1, 0) > 0;
    const count = isReadable ? native.read(reader, buffer, 0, 4096) : 0;
    native.write(writer, buffer, 0, count);
    return [...buffer.subarray(0, count)].sort((a, b) => a - b);
  };
  return { reader, free };
}

function fifoPool(tokens: readonly number[]): Pool {
  const path = newName();
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const pool = poolOver(reader, openSync(path, constants.O_WRONLY), tokens);
  return { ...pool, makeflags: ` -j9 --jobserver-auth=fifo:${path}`, fds: [] };
}

/** Both ends are in blocking mode, as the manual of make requires. */
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

describe.each(cases)(
  'under a make with a %s, in the %s context',
  (_, name, makePool) => {
    test('jobs run in the slots of make and give back its bytes', async () => {
      const pool = makePool(bytes);
      const run = await runProgram(['spans', name, '12', '40'], pool);
      expect(overlap(run.found as Span[])).toBeLessThanOrEqual(
        bytes.length + 1,
      );
      expect(run.warnings).toEqual([]);
      expect(pool.free()).toEqual(inOrder(bytes));
    });

    test('several Jobservers join, and know no number of slots', async () => {
      const pool = makePool(bytes);
      const run = await runProgram(['count', name], pool);
      expect(run).toEqual({ found: { slots: [null, null] }, warnings: [] });
      expect(pool.free()).toEqual(inOrder(bytes));
    });

    test('a Jobserver with a number of slots does not join', async () => {
      const pool = makePool(bytes);
      const run = await runProgram(['count', name, '2'], pool);
      expect(run).toEqual({ found: { slots: [2, 2] }, warnings: [] });
    });

    test('jobs of a job run in the slots of its Jobserver', async () => {
      const pool = makePool(bytes.slice(0, 2));
      const joined = await runProgram(['nested', name], pool);
      const { slots, spans } = joined.found as { slots: null; spans: Span[] };
      expect(slots).toBe(null);
      // The job that waits for them lends the third slot.
      expect(overlap(spans)).toBeLessThanOrEqual(3);
      expect(pool.free()).toEqual(inOrder(bytes.slice(0, 2)));

      const own = await runProgram(['nested', name, '3'], pool);
      expect(own.found).toMatchObject({ slots: 3 });
      expect(own.warnings).toEqual([]);
    });

    test('all Jobservers of a process share its own slot', async () => {
      const pool = makePool([]);
      const run = await runProgram(['shareOwnSlot', name, newName()], pool);
      expect(run.found).toEqual({ found: ['first', 'Blocked', 'third'] });
      expect(pool.free()).toEqual([]);
    });

    test('jobs run one after the other when make has no token', async () => {
      const pool = makePool([]);
      const run = await runProgram(['spans', name, '5', '20'], pool);
      expect(overlap(run.found as Span[])).toBe(1);
      expect(pool.free()).toEqual([]);
    });

    // Jobs of a dead parent get their orphan signal on Linux only.
    const onLinux = isLinux ? test : test.skip;

    onLinux.each(['SIGTERM', 'SIGINT', 'SIGKILL'] as const)(
      'jobs give back their tokens when %s ends their parent',
      async (signal) => {
        const pool = makePool(bytes);
        const args = [program, 'hold', name, '4'];
        const { child, ended, stdout } = start(process.execPath, args, pool);
        await until('jobs to run', () => stdout().includes('pids'));
        expect(pool.free()).toHaveLength(2);
        child.kill(signal);
        expect((await ended).signal).toBe(signal);
        await until('all tokens', () => pool.free().length === bytes.length);
        expect(pool.free()).toEqual(inOrder(bytes));
      },
    );

    onLinux.each([
      ['1', '0', 'SIGKILL'],
      ['1', '0', undefined],
      // They travel as a file of their own.
      ['1', '40000', 'SIGKILL'],
      ['Infinity', '0', 'SIGKILL'],
      ['Infinity', '0', undefined],
      ['Infinity', '40000', 'SIGKILL'],
    ])(
      'a parent that ends at once loses no token (jobsPerProcess %s, %s bytes, %s)',
      async (jobsPerProcess, length, signal = '') => {
        const pool = makePool(bytes);
        const settings = [jobsPerProcess, length, signal].filter(Boolean);
        const args = ['leave', name, ...settings];
        await start(process.execPath, [program, ...args], pool).ended;
        await until('all tokens', () => pool.free().length === bytes.length);
        expect(pool.free()).toEqual(inOrder(bytes));
      },
    );

    onLinux(
      'jobs give back their tokens when their parent calls process.exit',
      async () => {
        const pool = makePool(bytes);
        const args = [program, 'hold', name, '4', 'exit'];
        const { ended } = start(process.execPath, args, pool);
        expect((await ended).code).toBe(0);
        await until('all tokens', () => pool.free().length === bytes.length);
        expect(pool.free()).toEqual(inOrder(bytes));
      },
    );
  },
);

(isLinux ? describe : describe.skip)('an inherited pipe of make', () => {
  test.each(contexts)(
    'stays in blocking mode, since %s jobs get one opened anew',
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

  test('may be named by the word of older makes', async () => {
    const pool = pipePool(bytes, '--jobserver-fds');
    const run = await runProgram(['count', context], pool);
    expect(run).toEqual({ found: { slots: [null, null] }, warnings: [] });
  });

  test.each(['4,5', '6,7', '11,12', '13,14', '15,16', '17,18'])(
    'is not confused with a pipe that Node uses itself: fds %s',
    async (numbers) => {
      const makeflags = `--jobserver-auth=${numbers}`;
      const run = await runProgram(['staleNumbers', context], { makeflags });
      expect(run.found).toEqual({ handled: 20, isDone: true });
      expect(run.warnings.map(({ code }) => code)).toEqual([notJoined]);
    },
  );

  test('is refused when its ends are swapped', async () => {
    const pool = pipePool(bytes);
    const makeflags = '--jobserver-auth=4,3';
    const run = await runProgram(['count', context], { ...pool, makeflags });
    expect(run.warnings).toMatchObject([
      {
        message: expect.stringContaining('fd 4 is not a pipe open for reading'),
      },
    ]);
    expect(pool.free()).toEqual(inOrder(bytes));
  });

  test('is refused when the ends belong to different pipes', async () => {
    const [a, b] = [pipePool(bytes), pipePool(bytes)];
    const fds = [a.fds[0]!, b.fds[1]!];
    const run = await runProgram(['count', context], { ...a, fds });
    expect(run.warnings).toMatchObject([
      { message: expect.stringContaining('different pipes') },
    ]);
  });
});

describe('MAKEFLAGS', () => {
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
    'with an unusable job server causes one warning and the default slots: %s',
    async (makeflags, why) => {
      const run = await runProgram(['count', context], { makeflags, env });
      expect(run.found).toEqual({ slots: [7, 7] });
      expect(run.warnings).toEqual([
        { code: notJoined, message: expect.stringContaining(why) },
      ]);
      expect(run.warnings[0]!.message).toContain(makeflags);
    },
  );

  test('with a file for a fifo leaves that file untouched', async () => {
    const path = newName();
    writeFileSync(path, '+++');
    const makeflags = `--jobserver-auth=fifo:${path}`;
    const run = await runProgram(['count', context], { makeflags, env });
    expect(run.found).toEqual({ slots: [7, 7] });
    expect(run.warnings[0]!.message).toContain('is not a fifo');
    expect(readFileSync(path, 'utf8')).toBe('+++');
  });

  test('with negative fds causes one slot and a warning about +', async () => {
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
  ])('without a job server causes no warning: %j', async (makeflags, n) => {
    const run = await runProgram(['count', context], { makeflags, env });
    expect(run).toEqual({ found: { slots: [n, n] }, warnings: [] });
  });
});
