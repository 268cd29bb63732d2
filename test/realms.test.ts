// The library works in a vm context, as under jest, and leaves nothing behind
// when the context is dropped.
import { resolve } from 'node:path';
import type { Context } from '../dist/context.js';
import { testIf } from './helpers/context.js';
import { useFolder } from './helpers/folder.js';
import { underMake } from './helpers/make.js';
import { stateOf } from './helpers/processes.js';
import { runNode } from './helpers/program.js';
import { timeoutFactor, until } from './helpers/until.js';

jest.setTimeout(60_000 * timeoutFactor);

const isLinux = process.platform === 'linux';
const program = resolve('test', 'fixtures', 'realm-program.mjs');
const folder = useFolder();
const forkFlags = ['--single-threaded', '--v8-pool-size=1'];

async function run(
  flags: readonly string[],
  args: readonly string[],
  env = process.env,
): Promise<Record<string, unknown>> {
  const ended = await runNode([...flags, program, ...args], { env });
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(ended.stdout) as Record<string, unknown>;
}

for (const context of ['spawn', 'forkserver', 'fork'] as const) {
  testIf(isLinux || context === 'spawn')(
    `values of a vm context pass through jobs unchanged: ${context}`,
    async () => {
      const flags = context === 'fork' ? forkFlags : [];
      const { values, ...outcomes } = await run(flags, [context, 'use']);
      const invalid = "'ERR_INVALID_ARG_TYPE'";
      expect(values).toContain('Uint8Array(2) [ 1, 2 ]');
      expect(outcomes).toEqual({
        run: values,
        sync: values,
        revised: values,
        executor: values,
        map: values,
        thrown: 'RangeError: far',
        returned: expect.stringContaining('TypeError: near'),
        refused: `[ ${[invalid, invalid, invalid, invalid].join(', ')} ]`,
      });
    },
  );
}

for (const context of ['spawn', 'forkserver', 'fork'] as const) {
  testIf(isLinux || context === 'spawn')(
    `a vm context in a job uses the slots of the job: ${context}`,
    async () => {
      const flags = context === 'fork' ? forkFlags : [];
      const { found } = await run(flags, [context, 'join']);
      expect(found).toEqual([1, context, true, 1]);
    },
  );
}

testIf(isLinux)(
  'a vm context that is dropped with an open Jobserver keeps no descriptor',
  async () => {
    expect(await run(['--expose-gc'], ['spawn', 'forget'])).toEqual({
      opened: 12,
    });
  },
);

for (const context of ['spawn', 'forkserver'] satisfies Context[]) {
  testIf(isLinux)(
    `a vm context that is dropped while its jobs run loses no descriptor, process or slot of make: ${context}`,
    async () => {
      const left = await underMake(folder(), '++', async (env) => {
        const args = [context, 'drop', folder()];
        const { pids, code } = await run(['--expose-gc'], args, env);
        // The realm had the two slots of the pipe and that of this process.
        expect(code).toBe('ERR_JOBSERVER_BLOCKED');
        for (const pid of pids as number[]) {
          await until('the jobs to be gone', () => stateOf(pid) === 'X');
        }
      });
      expect(left).toBe('++');
    },
  );
}
