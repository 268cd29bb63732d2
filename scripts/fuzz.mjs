// Fuzzes the code that reads bytes from other processes.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { build } from './build.mjs';
import {
  command,
  commandLine,
  endWithCommands,
  root,
  runSteps,
} from './command.mjs';

const usage = `
Usage: node scripts/fuzz.mjs [--seconds=60]

Fuzzes the native code with libFuzzer under ASan and UBSan, then the TypeScript
with random properties. Needs the Debian packages clang-19 and libclang-rt-19-dev.

  --seconds=N  How long to fuzz each native target. The number of random
               properties grows with it.
`;
const { values } = commandLine(usage, {
  options: { seconds: { type: 'string', default: '60' } },
});
const seconds = Number(values.seconds);
if (!(seconds > 0)) throw new Error('--seconds has to be a positive number');
const runsOfProperties = 500 * seconds;
const minutes = 10 + seconds / 60;

const sources = ['native', 'native/linux'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.cc'))
    .map((name) => join(root, folder, name))
    .filter((path) => !usesNode(path)),
);
const flags = ['-std=c++17', '-g', '-O1', '-fno-sanitize-recover=undefined'];

const stage = mkdtempSync(join(tmpdir(), 'fuzz-'));
const removeStage = () => rmSync(stage, { recursive: true, force: true });
endWithCommands(removeStage);
try {
  await runSteps({
    'passing of fds': () => fuzz('passing'),
    'zygote with spares': () => fuzz('zygote'),
    'zygote without spares': () => fuzz('zygote', { JOBSERVER_SPARES: '0' }),
    properties,
  });
} finally {
  removeStage();
}

/** Whether a source includes headers of Node, also by headers of its own. */
function usesNode(path) {
  const text = readFileSync(path, 'utf8');
  if (/#include <(napi|node_api|uv)\.h>/.test(text)) return true;
  return [...text.matchAll(/#include "(.*)"/g)].some(([, header]) =>
    usesNode(join(dirname(path), header)),
  );
}

/** libFuzzer prints the input of a failure in hexadecimal. */
async function fuzz(target, variables) {
  const binary = join(stage, target);
  const source = join(root, 'test', 'fuzz', `${target}.cc`);
  const sanitizers = '-fsanitize=fuzzer,address,undefined';
  const args = [...flags, sanitizers, source, ...sources, '-o', binary];
  await command('clang++-19', args, { minutes });
  const corpus = mkdtempSync(join(stage, 'corpus-'));
  const limits = [`-max_total_time=${seconds}`, '-timeout=60'];
  const { all } = await command(binary, [...limits, corpus], {
    cwd: stage,
    env: { ...process.env, ...variables },
    minutes,
  });
  return /^Done (\d+ runs)/m.exec(all)[1];
}

async function properties() {
  await build({ tests: true });
  const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const files = ['properties', 'launch/hostile-worker'];
  const paths = files.map((name) => `dist-test/${name}.test.js`);
  const argv = [jest, ...paths];
  const factor = String(runsOfProperties / 100);
  const env = { PROPERTY_RUNS: runsOfProperties, TEST_TIMEOUT_FACTOR: factor };
  await command(process.execPath, argv, {
    env: { ...process.env, ...env },
    minutes: 10 * minutes,
  });
  return `${runsOfProperties} runs of each`;
}
