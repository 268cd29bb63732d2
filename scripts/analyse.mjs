// Lets compilers and analysers look for faults in what Linux has of native/:
// warnings of g++ and clang as errors, clang-tidy and cppcheck. The warnings for
// macOS are errors of prebuild-all.mjs.
//   node scripts/analyse.mjs
// Needs Debian's packages clang-19, clang-tidy-19 and cppcheck.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { command, endWithCommands, root, runSteps } from './command.mjs';
import { oldestNode } from './npm-package.mjs';

const node = await oldestNode();
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

const tools = {
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
const steps = Object.entries(tools).map(([name, [file, ...args]]) => [
  name,
  async () => void (await command(file, args, { minutes: 10 })),
]);
await runSteps(Object.fromEntries(steps));
