import { resolve } from 'node:path';
import { Jobserver } from '../../dist/index.js';
import { runNode } from '../helpers/program.js';

const flags = ['--single-threaded', '--v8-pool-size=1'];
const program = resolve('test', 'fixtures', 'fork-program.mjs');

test('a process with threads is refused, with the flags it needs', () => {
  expect(() => new Jobserver({ context: 'fork' })).toThrow(
    /node --single-threaded --v8-pool-size=1/,
  );
});

// Each is a part of the program, which asserts it.
test.each([
  'closures',
  'executor',
  'arguments',
  'promises',
  'nested',
  'errors',
  'death',
  'exit-hooks',
  'signals',
  'futures',
  'map',
  'preexec',
  'surroundings',
  'random',
  'memory',
  'many',
  'big-result',
  'forkserver-within',
])('fork: %s', async (part) => {
  const { code, stdout, stderr } = await runNode([...flags, program, part]);
  expect({ code, stderr, stdout }).toEqual({
    code: 0,
    stderr: '',
    stdout: `${part} ended\n`,
  });
});

test('a job in a fork dies with its parent', async () => {
  const args = [...flags, program, 'killed-parent'];
  const { signal, stdout } = await runNode(args);
  expect(signal).toBe('SIGKILL');
  // Standard output ends only when the job has closed it too.
  expect(stdout).toBe('started\n');
});
