import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import type { Ending } from '../fixtures/thread-programs.js';
import { runNode } from '../helpers/program.js';

const programs = join(__dirname, '..', 'fixtures', 'thread-programs.js');

/** A Jobserver in a worker thread. */
export function threadContract(context: Context): void {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'threads-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const run = async (
    args: readonly string[],
    env = process.env,
  ): Promise<unknown> => {
    const [name, ...rest] = args;
    const node = [...process.execArgv, programs, name!, context, ...rest];
    const { code, stdout, stderr } = await runNode(node, { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return JSON.parse(stdout);
  };

  /** Runs a program under a make with these tokens; returns those left. */
  const underMake = async (
    tokens: string,
    start: (env: NodeJS.ProcessEnv) => Promise<void>,
  ): Promise<string> => {
    const fifo = join(folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const flags = constants.O_RDWR | constants.O_NONBLOCK;
    const make = openSync(fifo, flags);
    try {
      writeSync(make, tokens);
      const MAKEFLAGS = ` -j4 --jobserver-auth=fifo:${fifo}`;
      await start({ ...process.env, MAKEFLAGS });
      const left = Buffer.alloc(tokens.length + 1);
      return left.toString('latin1', 0, readSync(make, left));
    } finally {
      closeSync(make);
    }
  };

  test('a thread that ends closes no file of another thread', async () => {
    expect(await run(['keepFiles'])).toEqual({ closed: [], warnings: [] });
  });

  test('a thread that has joined make closes no file of another thread', async () => {
    const left = await underMake('+++', async (env) => {
      const found = await run(['keepFiles'], env);
      expect(found).toEqual({ closed: [], warnings: [] });
    });
    expect(left).toBe('+++');
  });

  test.each(['terminate', 'blocked', 'exit', 'throw'] as const)(
    'the jobs of a thread that ends are ended, and give their slots back (%s)',
    async (ending: Ending) => {
      const left = await underMake('+++', async (env) => {
        const found = await run(['endThread', ending, folder], env);
        expect(found).toEqual({ open: 0, alive: 0 });
      });
      expect(left).toBe('+++');
    },
  );

  test('without an orphan signal, jobs outlive their thread', async () => {
    const args = ['endThread', 'terminate', folder, 'null'];
    expect(await run(args)).toEqual({ open: 0, alive: 3 });
  });
}
