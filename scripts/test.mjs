// Runs the tests in this node, then those of the fork context in a node without
// threads. Takes the arguments of jest.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';

const jest = createRequire(import.meta.url).resolve('jest/bin/jest');
const args = process.argv.slice(2);
// What is chosen may be in one of the two only.
if (args.length > 0) args.push('--passWithNoTests');

for (const flags of [[], ['--single-threaded', '--v8-pool-size=1']]) {
  const argv = [...flags, jest, ...args];
  const { status } = spawnSync(process.execPath, argv, { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
