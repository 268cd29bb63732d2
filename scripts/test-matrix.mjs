// Runs the tests under each Node version that is supported, whatever version
// runs this; the binaries come from npm. The arguments are those of jest:
//   node scripts/test-matrix.mjs [--node=22,24] [file …]
import { join } from 'node:path';
import { endWithCommands, root, run, seconds } from './command.mjs';
import { nodeBin } from './npm-package.mjs';

const timeoutMs = 40 * 60_000;

const supported = ['20', '22', '24', '26'];
const option = '--node=';
const [first = ''] = process.argv.slice(2);
const isChosen = first.startsWith(option);
const versions = isChosen ? first.slice(option.length).split(',') : supported;
const args = process.argv.slice(isChosen ? 3 : 2);

endWithCommands();
const failures = [];
for (const version of versions) {
  const start = performance.now();
  console.log(`\n=== Node ${version}`);
  const failure = await test(version).catch((error) => error.message);
  if (failure !== undefined) failures.push(version);
  console.log(`=== Node ${version}: ${failure ?? 'ok'} (${seconds(start)})`);
}
if (failures.length > 0) {
  console.log(`\nfailed under Node ${failures.join(', ')}`);
  process.exitCode = 1;
}

/** What went wrong, if anything. */
async function test(version) {
  const bin = await nodeBin(version);
  // First in the path, since tests and jobs start `node` as well.
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
  const tests = [join(root, 'scripts', 'test.mjs'), ...args];
  const options = { cwd: root, env, timeoutMs, inherit: true };
  const { failure } = await run(join(bin, 'node'), tests, options);
  return failure;
}
