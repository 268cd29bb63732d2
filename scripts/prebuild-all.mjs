// Builds the binaries of all platforms on one Debian machine (x86-64). The same
// sources give the same bytes, whatever folder they are in.
//
// Linux goes through prebuildify. For macOS, which it cannot build elsewhere,
// clang compiles as darwin.mjs says, and LLVM's linker takes every name from a
// list, so that one which macOS lacks is an error.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  command,
  commandLine,
  endWithCommands,
  root,
  seconds,
} from './command.mjs';
import {
  clangArchs,
  compileAll,
  compilerFlags,
  minimalMacos,
  sourcesIn,
  zigFolder,
} from './darwin.mjs';
import { oldestNode } from './npm-package.mjs';
import { targets } from './prebuilds.mjs';
import { makeStage } from './stage.mjs';

const usage = `
Usage: node scripts/prebuild-all.mjs [--install]

Builds the binaries of all platforms into prebuilds/, then checks them as
check-prebuilds.mjs does. Needs a Debian machine (x86-64).

  --install  Lets apt-get install the compilers that are missing; needs root.
`;
const { values } = commandLine(usage, {
  options: { install: { type: 'boolean' } },
});

// What has to run, and the Debian package that has it.
const tools = {
  'g++': 'g++',
  make: 'make',
  python3: 'python3',
  'aarch64-linux-gnu-g++': 'g++-aarch64-linux-gnu',
  'clang++-19': 'clang-19',
  'ld64.lld-19': 'lld-19',
  'llvm-nm-19': 'llvm-19',
  'musl-gcc': 'musl-tools',
};

const stage = makeStage('prebuild-');
const removeStage = () => rmSync(stage, { recursive: true, force: true });

endWithCommands(removeStage);
try {
  requireTools();
  const node = await oldestNode();
  const zig = await zigFolder();
  await step('linux-x64', () => linux(node, 'x64', ''));
  await step('linux-arm64', () => linux(node, 'arm64', 'aarch64-linux-gnu-'));
  await step('darwin-x64', () => darwin(node, zig, 'x64'));
  await step('darwin-arm64', () => darwin(node, zig, 'arm64'));

  // Not the whole folder, which has a README.
  for (const target of targets) {
    rmSync(join(root, 'prebuilds', target), { recursive: true, force: true });
  }
  cpSync(join(stage, 'prebuilds'), join(root, 'prebuilds'), {
    recursive: true,
  });
  const check = [join(root, 'scripts', 'check-prebuilds.mjs')];
  const { stdout } = await command(process.execPath, check);
  console.log(stdout.trim());
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  removeStage();
}

function requireTools() {
  const has = (tool) => spawnSync(tool, ['--version']).error === undefined;
  const missing = Object.keys(tools).filter((tool) => !has(tool));
  if (missing.length === 0) return;
  const packages = missing.map((tool) => tools[tool]);
  const apt = ['install', '--yes', '--no-install-recommends', ...packages];
  if (!values.install) {
    throw new Error(
      `missing: ${missing.join(', ')}. Run: apt-get ${apt.join(' ')}`,
    );
  }
  console.log(`apt-get ${apt.join(' ')}`);
  const { status } = spawnSync('apt-get', apt, { stdio: 'inherit' });
  if (status !== 0) throw new Error('apt-get has failed');
}

async function linux(node, arch, prefix) {
  const prebuildify = join(root, 'node_modules', 'prebuildify', 'bin.js');
  const options = ['--napi', '--strip', '--strip-bin', `${prefix}strip`];
  await build(process.execPath, [prebuildify, ...options, '--arch', arch], {
    npm_config_nodedir: node,
    CC: `${prefix}gcc`,
    CXX: `${prefix}g++`,
  });
  rmSync(join(stage, 'build'), { recursive: true });
}

async function darwin(node, zig, arch) {
  const clangArch = clangArchs[arch];
  const zigLib = join(zig, 'lib');
  const objects = join(stage, 'build', clangArch);
  mkdirSync(objects, { recursive: true });
  const flags = compilerFlags({ zig, node, clangArch });
  const sources = sourcesIn(stage, 'native', 'native/darwin');
  const built = await compileAll(sources, objects, (source, object) =>
    build('clang++-19', [...flags, '-c', source, '-o', object]),
  );

  // Node itself has these; all other names have to be in a library.
  const undefinedNames = await build('llvm-nm-19', ['-u', ...built]);
  const ofNode = new Set(undefinedNames.match(/\b_(napi|uv)_\w+/g));
  const target = join(stage, 'prebuilds', `darwin-${arch}`);
  mkdirSync(target, { recursive: true });
  await build('ld64.lld-19', [
    ...['-arch', clangArch, '-bundle'],
    ...['-platform_version', 'macos', minimalMacos, minimalMacos],
    ...['-dead_strip', '-x', '-S', '-adhoc_codesign'],
    ...[...ofNode].sort().flatMap((name) => ['-U', name]),
    ...['-o', join(target, 'jobserver.node'), ...built],
    join(zigLib, 'libc', 'darwin', 'libSystem.tbd'),
    join(root, 'scripts', 'libc++.tbd'),
  ]);
}

/** Runs it in the stage and gives what it printed. */
async function build(file, args, variables = {}) {
  const env = { ...process.env, ...variables };
  const { all } = await command(file, args, { cwd: stage, env, minutes: 5 });
  return all;
}

async function step(name, work) {
  const start = performance.now();
  await work();
  console.log(`${name} (${seconds(start)})`);
}
