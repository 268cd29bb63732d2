// Builds the addon for this machine, unless a build is newer than its sources:
//   node scripts/build-native.mjs [--prebuild]
// With --prebuild the stripped binary goes to prebuilds/ instead.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const isPrebuild = process.argv.includes('--prebuild');

if (isPrebuild) {
  run(bin('prebuildify'), ['--napi', '--strip', '--name', 'jobserver']);
} else if (!isUpToDate()) {
  const [command, ...args] = nodeGyp();
  run(command, [...args, 'rebuild', '--loglevel=warn']);
}

function isUpToDate() {
  const built = join(root, 'build', 'Release', 'addon.node');
  if (!existsSync(built)) return false;
  const sources = readdirSync(join(root, 'native')).map((name) =>
    join(root, 'native', name),
  );
  const { mtimeMs } = statSync(built);
  return [...sources, join(root, 'binding.gyp')].every(
    (source) => statSync(source).mtimeMs <= mtimeMs,
  );
}

/** Ours, or else the one that npx finds: this may run in a user's project. */
function nodeGyp() {
  try {
    const require = createRequire(import.meta.url);
    return [process.execPath, require.resolve('node-gyp/bin/node-gyp.js')];
  } catch {
    return ['npx', '--yes', 'node-gyp'];
  }
}

function bin(name) {
  return join(root, 'node_modules', '.bin', name);
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...headersOfThisNode(), ...process.env },
  });
  if (error) console.error(error.message);
  if (status !== 0) process.exit(1);
}

/** Without them node-gyp downloads headers, from beyond the npm registry. */
function headersOfThisNode() {
  const prefix = resolve(process.execPath, '..', '..');
  const isHere = existsSync(join(prefix, 'include', 'node', 'node_api.h'));
  return isHere ? { npm_config_nodedir: prefix } : {};
}
