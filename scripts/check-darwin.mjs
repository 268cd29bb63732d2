// Compiles and links the addon for macOS, with the compiler and the linker of zig,
// and throws the results away.
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  command,
  commandLine,
  endWithCommands,
  root,
  runSteps,
} from './command.mjs';
import {
  clangArchs,
  compileAll,
  compilerFlags,
  minimalMacos,
  nodeWithHeaders,
  sourcesIn,
  zigFolder,
} from './darwin.mjs';

const usage = `
Usage: node scripts/check-darwin.mjs

Checks that the addon compiles and links for macOS on x64 and arm64. Needs a
Linux machine (x86-64), and installs zig from npm.
`;
commandLine(usage);

const temp = mkdtempSync(join(tmpdir(), 'check-darwin-'));
const removeTemp = () => rmSync(temp, { recursive: true, force: true });

let zig;
let node;

endWithCommands(removeTemp);
try {
  await runSteps({
    tools: async () => {
      zig = await zigFolder();
      node = await nodeWithHeaders();
    },
    ...Object.fromEntries(
      Object.entries(clangArchs).map(([arch, clangArch]) => [
        `darwin-${arch}`,
        () => check(clangArch),
      ]),
    ),
  });
} finally {
  removeTemp();
}

async function check(clangArch) {
  const folder = join(temp, clangArch);
  mkdirSync(folder);
  const flags = compilerFlags({
    zig,
    node,
    clangArch,
    compilerHeaders: [join(zig, 'lib', 'include')],
  });
  const sources = sourcesIn(root, 'native', 'native/darwin');
  const objects = await compileAll(sources, folder, (source, object) =>
    runZig('clang', ...flags, '-c', source, '-o', object),
  );
  // A function that neither macOS nor Node exports is an error of the linker.
  const target = `${clangArch.replace('arm64', 'aarch64')}-macos`;
  const libraries = [join(root, 'scripts', 'libc++.tbd'), nodeLibrary()];
  await runZig(
    ...['cc', '-target', `${target}.${minimalMacos}`, '-dynamiclib'],
    ...['-o', join(folder, 'jobserver.node'), ...objects, ...libraries],
  );
}

/** The file of a library that exports every function of Node's headers. */
function nodeLibrary() {
  const headers = ['js_native_api.h', 'node_api.h', 'uv.h'];
  const text = headers
    .map((name) => readFileSync(join(node, 'include', 'node', name), 'utf8'))
    .join('\n');
  const names = new Set(text.match(/\b(napi|node_api|uv)_\w+(?=\()/g));
  const file = join(temp, 'node.tbd');
  writeFileSync(
    file,
    `--- !tapi-tbd
tbd-version: 4
targets: [ x86_64-macos, arm64-macos ]
install-name: 'node'
exports:
  - targets: [ x86_64-macos, arm64-macos ]
    symbols: [ ${[...names].map((name) => `_${name}`).join(', ')} ]
...
`,
  );
  return file;
}

function runZig(...args) {
  const cache = join(zig, '..', '..', '..', 'cache');
  const env = {
    ...process.env,
    ZIG_GLOBAL_CACHE_DIR: cache,
    ZIG_LOCAL_CACHE_DIR: cache,
  };
  return command(join(zig, 'zig'), args, { env, minutes: 5 });
}
