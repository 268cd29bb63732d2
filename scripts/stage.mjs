// Builds of the addon in a temporary copy of the sources, so that build/ and its
// binary, which tests may be using, are left alone.
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, root } from './command.mjs';

/** Makes the copy in a new folder, which the caller removes. */
export function makeStage(prefix) {
  const stage = mkdtempSync(join(tmpdir(), prefix));
  for (const entry of ['native', 'binding.gyp', 'package.json']) {
    cpSync(join(root, entry), join(stage, entry), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(stage, 'node_modules'));
  return stage;
}

/** Where this node has its headers; node-gyp downloads them otherwise. */
export function headersOfThisNode() {
  const prefix = join(process.execPath, '..', '..');
  const isHere = existsSync(join(prefix, 'include', 'node', 'node_api.h'));
  return isHere ? { npm_config_nodedir: prefix } : {};
}

/**
 * Builds the addon in a stage, with flags for the compiler and the linker.
 * Returns the environment variables that make the library load this build.
 */
export async function buildInStage(stage, flags, tools = {}) {
  const gyp = join(root, 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
  const env = {
    ...process.env,
    ...tools,
    CXXFLAGS: `-g -O1 -fno-omit-frame-pointer ${flags}`,
    LDFLAGS: flags,
    ...headersOfThisNode(),
  };
  const args = [gyp, 'rebuild'];
  await command(process.execPath, args, { cwd: stage, env, minutes: 10 });
  const target = `${process.platform}-${process.arch}`;
  const folder = join(stage, 'prebuilds', target);
  mkdirSync(folder, { recursive: true });
  const built = join(stage, 'build', 'Release', 'addon.node');
  cpSync(built, join(folder, 'jobserver.node'));
  // node-gyp-build reads both.
  return { JOBSERVER_PREBUILD: stage, PREBUILDS_ONLY: '1' };
}
