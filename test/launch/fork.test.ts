import { resolve } from 'node:path';
import { Jobserver } from '../../dist/index.js';
import { runNode } from '../helpers/program.js';

const flags = ['--single-threaded', '--v8-pool-size=1'];
const program = resolve('test', 'fixtures', 'fork-program.mjs');

test('a process with threads is refused, with the flags to use', () => {
  expect(() => new Jobserver({ context: 'fork' })).toThrow(
    /node --single-threaded --v8-pool-size=1/,
  );
});

// Each name selects a part of the program, which makes the assertions.
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
  'aborts',
  'futures',
  'map',
  'preexec',
  'surroundings',
  'random',
  'vm-random',
  'after-fork',
  'memory',
  'many',
  'big-result',
  'forkserver-within',
])('the fork context keeps its promises: %s', async (part) => {
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
  // Standard output ends only when the job, which inherits it, has ended too.
  expect(stdout).toBe('started\n');
});
