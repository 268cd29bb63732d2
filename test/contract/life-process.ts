import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '../../dist/context.js';
import { useGates } from '../helpers/gate.js';
import { runNode } from '../helpers/program.js';

const programs = join(__dirname, '..', 'fixtures', 'life-programs.js');

/** Calls of a function of the fixtures, by a coverage report of V8. */
function callsOf(name: string, report: string): number {
  interface Script {
    url: string;
    functions: { functionName: string; ranges: { count: number }[] }[];
  }
  const { result } = JSON.parse(report) as { result: Script[] };
  return result
    .filter(({ url }) => url.includes('/fixtures/'))
    .flatMap(({ functions }) => functions)
    .filter(({ functionName }) => functionName === name)
    .reduce((sum, { ranges }) => sum + ranges[0]!.count, 0);
}

/** What handles and their jobs mean for the process of the program. */
export function lifeProcessContract(context: Context): void {
  const makeGate = useGates();

  const run = async (
    name: string,
    args: readonly string[] = [],
    { flags = [] as string[], env = process.env } = {},
  ) => {
    const node = [...process.execArgv, ...flags, programs, name, context];
    const ended = await runNode([...node, ...args], { env });
    expect(ended).toMatchObject({ code: 0, signal: null });
    return ended;
  };

  test('an unused handle starts no child and does not keep the process alive', async () => {
    const { stdout, stderr } = await run('idle');
    expect({ stdout, stderr }).toEqual({ stdout: '[]\n', stderr: '' });
  });

  test('a job that runs or waits for a slot keeps the process alive', async () => {
    const files = [makeGate().file, makeGate().file];
    const { stderr } = await run('submitAndEnd', files);
    expect(stderr).toBe('');
    expect(files.map((file) => existsSync(file))).toEqual([true, true]);
  });

  test('a handle without running jobs does not keep the process alive', async () => {
    const { stdout, stderr } = await run('workAndEnd');
    expect({ stdout, stderr }).toEqual({ stdout: '[1,2]\n', stderr: '' });
  });

  test('the descriptors of a handle are closed when it is garbage collected', async () => {
    const flags = ['--expose-gc'];
    const { stdout, stderr } = await run('drop', [], { flags });
    expect({ stdout, stderr }).toEqual({ stdout: '{"lost":0}\n', stderr: '' });
  });

  test('NODE_V8_COVERAGE records the code that jobs run, too', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'coverage-'));
    try {
      const env = { ...process.env, NODE_V8_COVERAGE: folder };
      await run('workAndEnd', [], { env });
      const counts = readdirSync(folder).map((file) =>
        callsOf('identity', readFileSync(join(folder, file), 'utf8')),
      );
      expect(counts.filter((count) => count > 0)).toEqual([1, 1]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('NODE_DEBUG=jobserver traces every job on stderr', async () => {
    const env = { ...process.env, NODE_DEBUG: 'jobserver' };
    const { stdout, stderr } = await run('workAndEnd', [], { env });
    expect(stdout).toBe('[1,2]\n');
    const lines = stderr.trimEnd().split('\n');
    expect(lines).toEqual(
      lines.map(() => expect.stringMatching(/^JOBSERVER \d+: ./)),
    );
    const started = lines.filter((line) => /job \d+ started/.test(line));
    const finished = lines.filter((line) => /job \d+ finished/.test(line));
    expect([started.length, finished.length]).toEqual([2, 2]);
    expect(finished[0]).toMatch(/value, exit code 0, signal null/);
  });
}
