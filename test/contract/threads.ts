import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import type { Ending } from '../fixtures/thread-programs.js';
import { underMake } from '../helpers/make.js';
import { runNode } from '../helpers/program.js';

const fixtures = join(__dirname, '..', 'fixtures');
const programs = join(fixtures, 'thread-programs.js');
const terminations = join(fixtures, 'terminated-thread.js');

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
    file = programs,
  ): Promise<unknown> => {
    const [name, ...rest] = args;
    const node = [...process.execArgv, file, name!, context, ...rest];
    const { code, stdout, stderr } = await runNode(node, { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return JSON.parse(stdout);
  };

  test('a thread that ends closes no file of another thread', async () => {
    expect(await run(['keepFiles'])).toEqual({ closed: [], warnings: [] });
  });

  test('a thread that has joined make closes no file of another thread', async () => {
    const left = await underMake(folder, '+++', async (env) => {
      const found = await run(['keepFiles'], env);
      expect(found).toEqual({ closed: [], warnings: [] });
    });
    expect(left).toBe('+++');
  });

  test.each(['terminate', 'blocked', 'exit', 'throw'] as const)(
    'the jobs of a thread that ends are ended, and give their slots back (%s)',
    async (ending: Ending) => {
      const left = await underMake(folder, '+++', async (env) => {
        const found = await run(['endThread', ending, folder], env);
        expect(found).toEqual({ open: 0, alive: 0 });
      });
      expect(left).toBe('+++');
    },
  );

  // Each step of a job ends in a native call, and `terminate` interrupts none.
  test.each([
    ['a job', '1', 'SIGTERM'],
    ['a job in a process of several', 'Infinity', 'SIGTERM'],
    ['a job that outlives it in a process of several', 'Infinity', 'null'],
  ])(
    'a thread that is terminated at any step of %s gives the slot back once',
    async (_, ...options) => {
      const left = await underMake(folder, '+', async (env) => {
        const args = [join(folder, 'fifo'), ...options];
        const found = await run(args, env, terminations);
        expect(found).toEqual({ faults: [], isLong: true });
      });
      expect(left).toBe('+');
    },
  );

  test('without an orphan signal, jobs outlive their thread', async () => {
    const args = ['endThread', 'terminate', folder, 'null'];
    expect(await run(args)).toEqual({ open: 0, alive: 3 });
  });
}
