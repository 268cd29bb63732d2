// Runs the tests in a stock node, and those of the fork context in a node that can
// fork itself, because it has a single thread.
import { createRequire } from 'node:module';
import { build } from './build.mjs';
import { endWithCommands, jestCommandLine, root, run } from './command.mjs';
import { runUnder } from './other-nodes.mjs';

const usage = `
Usage: node scripts/test.mjs [--no-build] [--node=VERSIONS] [jest argument …]

Builds what has changed, then runs the tests, or those whose file name matches
a jest argument such as dist-test/slots.

  --no-build       Tests what has been built before.
  --node=VERSIONS  Runs the tests under these versions of Node, which are
                   installed from npm: --node=20,22,24,26
`;
const timeoutMs = 40 * 60_000;

const { values, rest } = jestCommandLine(usage, {
  'no-build': { type: 'boolean' },
  node: { type: 'string' },
});

endWithCommands();
try {
  if (!values['no-build']) await build({ tests: true });
  const args = ['--no-build', ...rest];
  const versions = values.node?.split(',');
  if (versions === undefined) await testHere();
  else await runUnder(versions, 'test.mjs', args, 2 * timeoutMs);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

// Side by side, because most tests wait for processes. The second run takes less time
// with one test file after another than the first with several at once, and its output
// follows that of the first.
async function testHere() {
  const forkable = ['--single-threaded', '--v8-pool-size=1'];
  const [stock, forking] = await Promise.all([
    runJest([], [], true),
    runJest(forkable, ['--maxWorkers=1'], false),
  ]);
  process.stdout.write(forking.output.all);
  for (const { failure } of [stock, forking]) {
    if (failure === undefined) continue;
    // Jest has reported its own failures.
    if (failure !== 'exit code 1') console.error(`jest: ${failure}`);
    process.exitCode = 1;
  }
}

function runJest(flags, options, inherit) {
  const jest = createRequire(import.meta.url).resolve('jest/bin/jest');
  // Arguments that choose tests may choose none in one of the two runs.
  const args = rest.length > 0 ? [...rest, '--passWithNoTests'] : [];
  const argv = [...flags, jest, ...options, ...args];
  return run(process.execPath, argv, { cwd: root, timeoutMs, inherit });
}
