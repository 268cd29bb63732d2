// Builds the addon for this machine, unless the last build is newer than the
// sources. This script is part of the package, because the error for a missing
// binary tells the user to run it. It therefore imports no other script. In a
// user's node_modules, npx installs the build tools, and binding.gyp exists
// only during the build.
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
import { parseArgs } from 'node:util';

const usage = `
Usage: node scripts/build-native.mjs

Builds the addon for this machine into build/, unless the last build is newer
than its sources. Needs Python 3, make and a C++17 compiler.
`;
const script = fileURLToPath(import.meta.url);
const root = join(dirname(script), '..');
const release = join(root, 'build', 'Release');
const binary = join(release, 'addon.node');
// Its text is the machine of the last build; sources that are newer than the
// file have changed since.
const label = join(release, 'built-for');
const target = `${process.platform}-${process.arch}`;
const gyp = join(root, 'binding.gyp');
const gypi = join(root, 'native', 'addon.gypi');

const tools = ['node-gyp/bin/node-gyp.js', 'node-addon-api'];

try {
  if (wantsHelp()) console.log(usage.trim());
  else if (!isUpToDate()) build();
} catch (error) {
  console.error(
    `The addon could not be built for ${target}: ${error.message}. A build ` +
      'needs Python 3, make and a C++17 compiler.',
  );
  process.exitCode = 1;
}

function wantsHelp() {
  const help = { type: 'boolean', short: 'h' };
  try {
    return parseArgs({ options: { help } }).values.help;
  } catch (error) {
    console.error(`${error.message}\n\n${usage.trim()}`);
    return process.exit(2);
  }
}

function build() {
  const require = createRequire(script);
  const found = tools.map((tool) => locate(require, tool));
  if (found.includes(undefined)) return buildWithNpx();
  const [nodeGyp] = found;
  // A configuration from another machine names that machine's paths.
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
  // A source that was saved during the build has to count as newer.
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
  // npx adds the folder of its packages to PATH and to nothing else.
  const places = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((place) => place.endsWith(join('node_modules', '.bin')))
    .map((place) => dirname(place));
  try {
    return require.resolve(tool, { paths: [root, ...places] });
  } catch {
    // The caller then installs the tools.
    return undefined;
  }
}

/** Runs this script again under npx, which installs the tools into PATH. */
function buildWithNpx() {
  if (process.env.JOBSERVER_BUILD_WITH_NPX !== undefined) {
    throw new Error(`npx did not install ${tools.join(', ')}`);
  }
  const { devDependencies } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  );
  const packages = tools
    .map((tool) => tool.split('/')[0])
    .map((name) => `--package=${name}@${devDependencies[name]}`);
  const again = [process.execPath, script];
  run('npx', ['--yes', ...packages, '--', ...again], {
    JOBSERVER_BUILD_WITH_NPX: '1',
  });
}

function node(program, ...args) {
  // In a user's node_modules, binding.gyp finds node-addon-api through NODE_PATH.
  const headers = dirname(
    dirname(locate(createRequire(script), 'node-addon-api/package.json')),
  );
  run(process.execPath, [program, ...args], {
    NODE_PATH: headers,
    ...headersOfThisNode(),
  });
}

/** Where this node has its headers; node-gyp downloads them otherwise. */
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
  // Compiler warnings are on stderr; stdout only lists the steps of make.
  if (status === 0) process.stderr.write(stderr);
  else {
    console.error(output);
    const end = `${command} ended with ${signal ?? status}`;
    throw new Error(error?.message ?? end);
  }
}
