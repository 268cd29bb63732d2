// Runs a script of this folder again, in other versions of Node.
import { join } from 'node:path';
import { root, run, seconds } from './command.mjs';
import { nodeBin } from './npm-package.mjs';

/**
 * Runs the script in each of these versions, one after the other, and passes what they
 * print through. Rejects with the versions that have failed.
 */
export async function runUnder(versions, script, args, timeoutMs) {
  const failures = [];
  for (const version of versions) {
    const start = performance.now();
    console.log(`\n=== Node ${version}`);
    const failure = await runIn(version, [script, ...args], timeoutMs).catch(
      (error) => error.message,
    );
    if (failure !== undefined) failures.push(version);
    console.log(`=== Node ${version}: ${failure ?? 'ok'} (${seconds(start)})`);
  }
  if (failures.length === 0) return;
  throw new Error(`failed under Node ${failures.join(', ')}`);
}

/** Returns why it has failed, if it has. */
async function runIn(version, [script, ...args], timeoutMs) {
  const bin = await nodeBin(version);
  // First in the path, since tests and jobs start `node` as well.
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
  const argv = [join('scripts', script), ...args];
  const options = { cwd: root, env, timeoutMs, inherit: true };
  const { failure } = await run(join(bin, 'node'), argv, options);
  return failure;
}
