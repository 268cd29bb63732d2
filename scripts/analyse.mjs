// Analyses the C++ that is compiled for Linux. prebuild-all.mjs compiles that for
// macOS, with warnings as errors as well.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  command,
  commandLine,
  endWithCommands,
  root,
  runSteps,
} from './command.mjs';
import { oldestNode } from './npm-package.mjs';

const usage = `
Usage: node scripts/analyse.mjs [g++ | clang | clang-tidy | cppcheck …]

Analyses native/ with all four tools, or with those named: the compilers with
many warnings, each of which is an error, then clang-tidy and cppcheck. Needs
the Debian packages clang-19, clang-tidy-19 and cppcheck.
`;
const { positionals } = commandLine(usage, { allowPositionals: true });

const node = await oldestNode();
const sources = ['native', 'native/linux'].flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.cc'))
    .map((name) => `${folder}/${name}`),
);
// The same as in addon.gypi.
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
await runSteps(Object.fromEntries(steps), positionals);
