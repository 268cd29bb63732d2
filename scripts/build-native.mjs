// Builds the addon for this machine, unless a build is newer than its sources:
//   node scripts/build-native.mjs [--prebuild]
// With --prebuild the stripped binary goes to prebuilds/ instead. Runs in a
// user's node_modules too, where npx brings what a build needs and binding.gyp
// is there for the time of the build only.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(import.meta.url);
const root = join(dirname(script), '..');
const release = join(root, 'build', 'Release');
const binary = join(release, 'addon.node');
// Says for which machine the last build was and, by its time, of what sources.
const label = join(release, 'built-for');
const target = `${process.platform}-${process.arch}`;
const gyp = join(root, 'binding.gyp');
const gypi = join(root, 'native', 'addon.gypi');
const isPrebuild = process.argv.includes('--prebuild');

const tools = ['node-gyp/bin/node-gyp.js', 'node-addon-api'];
if (isPrebuild) tools.push('prebuildify/bin.js');

try {
  if (isPrebuild || !isUpToDate()) build();
} catch (error) {
  console.error(
    `The addon could not be built for ${target}: ${error.message}. A build ` +
      'needs Python 3, make and a C++17 compiler.',
  );
  process.exitCode = 1;
}

function build() {
  const require = createRequire(script);
  const found = tools.map((tool) => locate(require, tool));
  if (found.includes(undefined)) return buildWithNpx();
  const [nodeGyp, , prebuildify] = found;
  if (isPrebuild) {
    node(prebuildify, '--napi', '--strip');
    return;
  }
  // Only a configuration made here names this machine's paths.
  const isConfigured =
    readLabel() === target && isNewer(join(root, 'build', 'Makefile'), gypi);
  const steps = isConfigured ? ['build'] : ['configure', 'build'];
  const start = new Date();
  const isUnpacked = !existsSync(gyp);
  if (isUnpacked) writeFileSync(gyp, '{ "includes": ["native/addon.gypi"] }\n');
  try {
    node(nodeGyp, '--loglevel=warn', ...steps);
  } finally {
    if (isUnpacked) rmSync(gyp);
  }
  writeFileSync(label, target);
  // A source that was saved during the build counts as newer.
  utimesSync(label, start, start);
}

function isUpToDate() {
  if (readLabel() !== target || !existsSync(binary)) return false;
  return sources().every((source) => isNewer(label, source));
}

function sources() {
  const names = readdirSync(join(root, 'native'), { recursive: true });
  return names.map((name) => join(root, 'native', name));
}

function isNewer(product, source) {
  if (!existsSync(product)) return false;
  return statSync(product).mtimeMs >= statSync(source).mtimeMs;
}

function readLabel() {
  return existsSync(label) ? readFileSync(label, 'utf8') : undefined;
}

function locate(require, tool) {
  // npx tells where it has put its packages by PATH alone.
  const places = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((place) => place.endsWith(join('node_modules', '.bin')))
    .map((place) => dirname(place));
  try {
    return require.resolve(tool, { paths: [root, ...places] });
  } catch {
    // The caller knows what to do without it.
    return undefined;
  }
}

/** This script once more, where npx has put the packages into PATH. */
function buildWithNpx() {
  if (process.env.JOBSERVER_BUILD_WITH_NPX !== undefined) {
    throw new Error(`npx has not brought ${tools.join(', ')}`);
  }
  const { devDependencies } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  );
  const packages = tools
    .map((tool) => tool.split('/')[0])
    .map((name) => `--package=${name}@${devDependencies[name]}`);
  const again = [process.execPath, script, ...process.argv.slice(2)];
  run('npx', ['--yes', ...packages, '--', ...again], {
    JOBSERVER_BUILD_WITH_NPX: '1',
  });
}

function node(program, ...args) {
  // Where binding.gyp finds node-addon-api when it is not one of ours.
  const headers = dirname(
    dirname(locate(createRequire(script), 'node-addon-api/package.json')),
  );
  run(process.execPath, [program, ...args], {
    NODE_PATH: headers,
    ...headersOfThisNode(),
  });
}

/** Without them node-gyp downloads headers. */
function headersOfThisNode() {
  const prefix = resolve(process.execPath, '..', '..');
  const isHere = existsSync(join(prefix, 'include', 'node', 'node_api.h'));
  const nodedir = process.env.npm_config_nodedir ?? (isHere ? prefix : '');
  return nodedir === '' ? {} : { npm_config_nodedir: nodedir };
}

function run(command, args, variables) {
  const { status, signal, error, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...variables },
    encoding: 'utf8',
    maxBuffer: Infinity,
  });
  const output = `${stdout ?? ''}${stderr ?? ''}`;
  // Warnings of the compiler; what make says of its steps is not news.
  if (status === 0) process.stderr.write(stderr);
  else {
    console.error(output);
    const end = `${command} ended with ${signal ?? status}`;
    throw new Error(error?.message ?? end);
  }
}
