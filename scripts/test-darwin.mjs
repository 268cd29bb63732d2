// Runs tests with the addon's sources for macOS, on Linux (x86-64). The addon is
// compiled from native/darwin, with the kqueue, posix_spawn and poll of macOS that
// test/darwin implements over Linux. In the tests and in all programs that they
// start, process.platform is 'darwin'.
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from './build.mjs';
import {
  command,
  endWithCommands,
  jestCommandLine,
  root,
  run,
  seconds,
} from './command.mjs';
import {
  addonFlags,
  compileAll,
  macosHeaders,
  nodeWithHeaders,
  sourcesIn,
  zigFolder,
} from './darwin.mjs';

const tests = [
  'contract/spawn/jobs',
  'contract/reused/spawn',
  'native/',
  'system/selector',
];
// What no platform decides. Of the last ones, a sample remains.
const portable = [
  'callbacks',
  'calls of an executor',
  'construction',
  'executor',
  'futures',
  'jobs that are (sent ahead|started again)',
  'map',
  'modules of preload',
  'names of options',
  'number of slots',
  'processes that are out of date',
  'settings of processes',
  'sleep gate',
  'states',
  'submit arguments',
  'waits for slots',
  'ends of jobs with controls (?!a value|an abort of a job whose child)',
  'loans of slots (?!the slot)',
  'slots (?!4 slots)',
  'results (?!values of all kinds|a thrown error keeps|large|.* 64 MiB)',
  'values (?!of processes|a job|blocking|buffers .* 1048576 )',
];
const filter = `--testNamePattern=^(?!context spawn (${portable.join('|')}))`;
const usage = `
Usage: node scripts/test-darwin.mjs [--whole] [jest argument …]

Compiles the addon's sources for macOS over an emulation of what macOS has and
Linux lacks, and runs the tests that concern them:
  ${tests.join('\n  ')}
without what no platform decides, or those that match a jest argument. Needs a
Linux machine (x86-64).

  --whole  With what no platform decides.
`;
const { values, rest } = jestCommandLine(usage, { whole: { type: 'boolean' } });
const chosen = values.whole ? tests : [...tests, filter];

const stage = mkdtempSync(join(tmpdir(), 'test-darwin-'));
const removeStage = () => rmSync(stage, { recursive: true, force: true });

endWithCommands(removeStage);
try {
  await build({ native: false, tests: true });
  const start = performance.now();
  copyPackage();
  await buildAddon();
  console.log(`built (${seconds(start)})`);
  const failure = await test(rest.length > 0 ? rest : chosen);
  if (failure !== undefined) throw new Error(`the tests: ${failure}`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  removeStage();
}

// Node resolves links, and would find the addon of this machine through them.
function copyPackage() {
  for (const entry of ['package.json', 'dist', 'dist-test', 'test']) {
    cpSync(join(root, entry), join(stage, entry), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(stage, 'node_modules'));
}

async function buildAddon() {
  const objects = join(stage, 'build', 'objects');
  const release = join(stage, 'build', 'Release');
  const headers = join(stage, 'build', 'include');
  for (const folder of [objects, release, join(headers, 'sys')]) {
    mkdirSync(folder, { recursive: true });
  }
  // One header only, because the others conflict with those of Linux.
  const event = join('sys', 'event.h');
  cpSync(join(macosHeaders(await zigFolder()), event), join(headers, event));
  const node = await nodeWithHeaders();
  const flags = [
    ...addonFlags,
    ...['-Wall', '-Wextra', '-Werror'],
    // Its variant of poll would bypass the one of test/darwin.
    '-U_FORTIFY_SOURCE',
    ...['-isystem', headers],
    ...['-isystem', join(root, 'test', 'darwin', 'include')],
    ...['-isystem', join(root, 'node_modules', 'node-addon-api')],
    ...['-isystem', join(node, 'include', 'node')],
  ];
  const folders = ['native', 'native/darwin', 'test/darwin'];
  const built = await compileAll(
    sourcesIn(root, ...folders),
    objects,
    (source, object) => gcc(...flags, '-c', source, '-o', object),
  );
  const addon = join(release, 'addon.node');
  const wrap = ['-Wl,--wrap=close', '-Wl,--wrap=poll'];
  await gcc('-shared', ...wrap, '-o', addon, ...built);
}

function gcc(...args) {
  return command('g++', args, { minutes: 5 });
}

async function test(names) {
  const file = (...names) => JSON.stringify(join(...names));
  const config = join(stage, 'jest.config.cjs');
  writeFileSync(
    config,
    `module.exports = {
      ...require(${file(root, 'jest.config.cjs')}),
      rootDir: ${file(stage)},
      setupFiles: [${file(stage, 'test/darwin/platform.cjs')}],
    };`,
  );
  const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const preload = file(stage, 'test/darwin/preload.cjs');
  const argv = [jest, '--config', config, ...names];
  const { failure } = await run(process.execPath, argv, {
    cwd: stage,
    env: { ...process.env, NODE_OPTIONS: `--require ${preload}` },
    timeoutMs: 40 * 60_000,
    inherit: true,
  });
  return failure;
}
