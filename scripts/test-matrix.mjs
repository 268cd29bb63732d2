// Runs the tests under each Node version that is supported, whatever version
// runs this; the binaries come from npm. The arguments are those of jest:
//   node scripts/test-matrix.mjs [--node=22,24] [file …]
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endWithCommands, run, seconds } from './command.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const installLimitMs = 10 * 60_000;
const testLimitMs = 40 * 60_000;

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
  const failure = await test(version);
  if (failure !== undefined) failures.push(version);
  console.log(`=== Node ${version}: ${failure ?? 'ok'} (${seconds(start)})`);
}
if (failures.length > 0) {
  console.log(`\nfailed under Node ${failures.join(', ')}`);
  process.exitCode = 1;
}

/** What went wrong, if anything. */
async function test(version) {
  const name = `node-${process.platform}-${process.arch}`;
  const folder = join(root, 'node_modules', '.cache', 'jobserver', version);
  const bin = join(folder, 'node_modules', name, 'bin');
  if (!existsSync(bin)) {
    const install = ['install', '--no-save', '--no-audit', '--no-fund'];
    const { failure, output } = await run(
      'npm',
      [...install, '--prefix', folder, `${name}@${version}`],
      { timeoutMs: installLimitMs },
    );
    if (failure !== undefined)
      return `not installed: ${failure}\n${output.all}`;
  }
  // First in the path, since tests and jobs start `node` as well.
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
  const tests = [join(root, 'scripts', 'test.mjs'), ...args];
  const options = { cwd: root, env, timeoutMs: testLimitMs, inherit: true };
  const { failure } = await run(join(bin, 'node'), tests, options);
  return failure;
}
