// A copy of what a build of the addon needs, so that the build of this machine
// in build/ stays what it is.
import { cpSync, mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, root } from './command.mjs';

/** The new folder; the caller removes it. */
export function makeStage(prefix) {
  const stage = mkdtempSync(join(tmpdir(), prefix));
  for (const entry of ['native', 'binding.gyp', 'package.json']) {
    cpSync(join(root, entry), join(stage, entry), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(stage, 'node_modules'));
  return stage;
}

/**
 * Builds the addon in a stage, with flags for the compiler and the linker. Gives
 * the environment in which the library takes it instead of its own.
 */
export async function buildInStage(stage, flags, tools = {}) {
  const gyp = join(root, 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
  const env = {
    ...process.env,
    ...tools,
    CXXFLAGS: `-g -O1 -fno-omit-frame-pointer ${flags}`,
    LDFLAGS: flags,
    npm_config_nodedir: join(process.execPath, '..', '..'),
  };
  const args = [gyp, 'rebuild'];
  await command(process.execPath, args, { cwd: stage, env, minutes: 10 });
  const target = `${process.platform}-${process.arch}`;
  const folder = join(stage, 'prebuilds', target);
  mkdirSync(folder, { recursive: true });
  const built = join(stage, 'build', 'Release', 'addon.node');
  cpSync(built, join(folder, 'jobserver.node'));
  // Where node-gyp-build looks instead.
  return { JOBSERVER_PREBUILD: stage, PREBUILDS_ONLY: '1' };
}
