// Feeds what reads bytes of other processes with anything at all: the native
// code by libFuzzer under ASan and UBSan, the TypeScript by properties.
//   node scripts/fuzz.mjs [seconds for each native target = 60]
// Needs Debian's packages clang-19 and libclang-rt-19-dev, and what
// `npm run build && npm run build:test` makes.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, endWithCommands, root, runSteps } from './command.mjs';

const seconds = Number(process.argv[2] ?? 60);
const runsOfProperties = 500 * seconds;
const minutes = 10 + seconds / 60;

// What knows of JavaScript cannot be without a node.
const border = ['addon.cc', 'forking.cc', 'watcher.cc'];
const sources = ['native', 'native/linux'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.cc') && !border.includes(name))
    .map((name) => join(root, folder, name)),
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

/** What fails is told with the input, in hex, that does it. */
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
  const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const argv = [jest, 'dist-test/properties.test.js'];
  const factor = String(runsOfProperties / 100);
  const env = { PROPERTY_RUNS: runsOfProperties, TEST_TIMEOUT_FACTOR: factor };
  await command(process.execPath, argv, {
    env: { ...process.env, ...env },
    minutes: 10 * minutes,
  });
  return `${runsOfProperties} runs of each`;
}
