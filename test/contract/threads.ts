import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import type { Ending } from '../fixtures/thread-programs.js';
import { useFolder } from '../helpers/folder.js';
import { underMake } from '../helpers/make.js';
import { runNode } from '../helpers/program.js';
import { timeoutFactor } from '../helpers/until.js';

const fixtures = join(__dirname, '..', 'fixtures');
const programs = join(fixtures, 'thread-programs.js');
const terminations = join(fixtures, 'terminated-thread.js');

/** A Jobserver in a worker thread. */
export function threadContract(context: Context): void {
  const folder = useFolder();

  const run = async (
    args: readonly string[],
    env = process.env,
    { file = programs, limitMs = 30_000 } = {},
  ): Promise<unknown> => {
    const [name, ...rest] = args;
    const node = [...process.execArgv, file, name!, context, ...rest];
    const { code, stdout, stderr } = await runNode(node, { env, limitMs });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return JSON.parse(stdout);
  };

  test('a thread that ends closes no file of another thread', async () => {
    expect(await run(['keepFiles'])).toEqual({ closed: [], warnings: [] });
  });

  test('a thread that has joined make closes no file of another thread', async () => {
    const left = await underMake(folder(), '+++', async (env) => {
      const found = await run(['keepFiles'], env);
      expect(found).toEqual({ closed: [], warnings: [] });
    });
    expect(left).toBe('+++');
  });

  test.each(['terminate', 'blocked', 'exit', 'throw'] as const)(
    'the jobs of a thread that ends are ended, and give their slots back (%s)',
    async (ending: Ending) => {
      const left = await underMake(folder(), '+++', async (env) => {
        const found = await run(['endThread', ending, folder()], env);
        expect(found).toEqual({ open: 0, alive: 0 });
      });
      expect(left).toBe('+++');
    },
  );

  const kinds = [
    ['a job', '1', 'SIGTERM', 'identity'],
    ['a job that outlives it', '1', 'null', 'identity'],
  ];
  // What follows the start of a process of several jobs is alike in all contexts.
  if (context === 'forkserver') {
    kinds.push(
      ['a job in a process of several', 'Infinity', 'SIGTERM', 'identity'],
      ['a job that outlives it there', 'Infinity', 'null', 'identity'],
      ['a job that ends its process', 'Infinity', 'null', 'leaveListener'],
    );
  }
  // Each step of a job ends in a native call, and `terminate` interrupts none.
  test.each(kinds)(
    'a thread that is terminated at any step of %s gives the slot back once',
    async (_, ...options) => {
      const left = await underMake(folder(), '+', async (env) => {
        const args = [join(folder(), 'fifo'), ...options];
        const found = await run(args, env, {
          file: terminations,
          limitMs: 150_000,
        });
        expect(found).toEqual({ faults: [], isLong: true });
      });
      expect(left).toBe('+');
    },
    // It starts a thread for each native call.
    180_000 * timeoutFactor,
  );

  test('without an orphan signal, jobs outlive their thread', async () => {
    const args = ['endThread', 'terminate', folder(), 'null'];
    expect(await run(args)).toEqual({ open: 0, alive: 3 });
  });
}
