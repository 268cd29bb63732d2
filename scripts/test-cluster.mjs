// Runs the tests of jobserver/bullmq, which need a Redis server.
import { createRequire } from 'node:module';
import { build } from './build.mjs';
import { endWithCommands, jestCommandLine, root, run } from './command.mjs';
import { runUnder } from './other-nodes.mjs';

const usage = `
Usage: node scripts/test-cluster.mjs [--no-build] [--node=VERSIONS] [jest argument …]

Builds what has changed, then runs the tests in test/bullmq/, or those whose file
name matches a jest argument such as dist-test/bullmq/faults.

  --no-build       Tests what has been built before.
  --node=VERSIONS  Runs the tests under these versions of Node, which are
                   installed from npm: --node=20,22,24,26

Each test file starts a redis-server of its own, at a free port, and ends it. On
Debian: apt-get install --no-install-recommends redis-server. JOBSERVER_REDIS_SERVER
names another program, such as valkey-server.
`;
const timeoutMs = 20 * 60_000;

const { values, rest } = jestCommandLine(usage, {
  'no-build': { type: 'boolean' },
  node: { type: 'string' },
});
const server = process.env.JOBSERVER_REDIS_SERVER ?? 'redis-server';

endWithCommands();
try {
  const { failure } = await run(server, ['--version'], { timeoutMs: 10_000 });
  if (failure !== undefined) {
    throw new Error(
      `${server}: ${failure}. On Debian:\n` +
        'apt-get install --no-install-recommends redis-server',
    );
  }
  if (!values['no-build']) await build({ tests: true });
  const args = ['--no-build', ...rest];
  const versions = values.node?.split(',');
  if (versions === undefined) await test();
  else await runUnder(versions, 'test-cluster.mjs', args, timeoutMs + 60_000);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

async function test() {
  const jest = createRequire(import.meta.url).resolve('jest/bin/jest');
  const isChosen = rest.some((arg) => arg.startsWith('dist-test'));
  const chosen = isChosen ? [] : ['dist-test/bullmq/'];
  const env = { ...process.env, TEST_CLUSTER: '1' };
  // The leases are short, and a machine without time for its hosts ends them.
  env.TEST_WORKERS ??= '1';
  const options = { cwd: root, timeoutMs, inherit: true, env };
  const { failure } = await run(
    process.execPath,
    [jest, ...chosen, ...rest],
    options,
  );
  if (failure === undefined) return;
  if (failure !== 'exit code 1') console.error(`jest: ${failure}`);
  process.exitCode = 1;
}
