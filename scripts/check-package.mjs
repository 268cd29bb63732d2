// Packs the package and uses it as a stranger would: looks at the files in it,
// asks publint and attw, installs it in an empty project, and there imports it,
// requires it and compiles against it.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endWithCommands, run, seconds } from './command.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = join(root, 'node_modules', '.bin');
const temp = mkdtempSync(join(tmpdir(), 'check-package-'));
const project = join(temp, 'project');
let tarball = '';

const esmHead = `
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { Jobserver } from 'jobserver';
import * as all from 'jobserver';
import { add } from './jobs.mjs';

// Every name that require() gives can be imported by its name.
const required = Object.keys(createRequire(import.meta.url)('jobserver'));
for (const name of required) assert.ok(name in all, name);
`;

const cjsHead = `
const assert = require('node:assert/strict');
const { Jobserver } = require('jobserver');
const { add } = require('./jobs.cjs');
`;

const smoke = `
for (const options of [{ slots: 2 }, { slots: 1, context: 'spawn' }]) {
  const jobserver = new Jobserver(options);
  assert.equal(await jobserver.run(add, 2, 3), 5);
  await jobserver.close();
}
console.log('done');
`;

const consumer = `
import { type Future, Jobserver } from 'jobserver';

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2
    ? true
    : false;
function isTrue<_T extends true>(): void {}

export const lengthOf = (text: string): number => text.length;
export async function repeat(text: string, count: number): Promise<string> {
  return text.repeat(count);
}

export async function use(): Promise<void> {
  const jobserver = new Jobserver({ slots: 2 });
  const length = await jobserver.submit(lengthOf, ['four']);
  isTrue<Equal<typeof length, Future<number>>>();
  const repeated = await jobserver.submit(repeat, ['a', 3], { timeout: 1000 });
  isTrue<Equal<typeof repeated, Future<string>>>();
  const text = await jobserver.run(repeat, 'a', 3);
  isTrue<Equal<typeof text, string>>();
  for await (const item of jobserver.map(lengthOf, ['a', 'b'])) {
    isTrue<Equal<typeof item, number>>();
  }

  // @ts-expect-error An argument of the wrong type.
  await jobserver.submit(lengthOf, [4]);
  // @ts-expect-error An argument too few.
  await jobserver.run(repeat, 'a');
  // @ts-expect-error No such option.
  new Jobserver({ slot: 2 });
  await jobserver.close();
}
`;

// Each throws when it fails. The later ones need the tarball, and those at the
// end the installation.
const steps = [
  { name: 'prebuild', run: prebuild },
  { name: 'pack', run: pack },
  { name: 'files', run: files },
  { name: 'publint', run: publint },
  { name: 'attw', run: attw },
  { name: 'install', run: install },
  { name: 'import', run: () => smokeTest('smoke.mjs') },
  { name: 'require', run: () => smokeTest('smoke.cjs') },
  { name: 'types', run: consumers },
];
const needed = new Set(['prebuild', 'pack', 'install']);

endWithCommands(removeTemp);
try {
  await runSteps();
} finally {
  removeTemp();
}

async function runSteps() {
  for (const step of steps) {
    const start = performance.now();
    try {
      await step.run();
      console.log(`ok ${step.name} (${seconds(start)})`);
    } catch (error) {
      console.log(`FAILED ${step.name}: ${error.message}`);
      process.exitCode = 1;
      if (needed.has(step.name)) return;
    }
  }
}

async function prebuild() {
  await command('npm', ['run', '-s', 'prebuild:this'], { minutes: 5 });
}

async function pack() {
  await command('npm', ['pack', '--silent', '--pack-destination', temp]);
  const packed = readdirSync(temp).filter((file) => file.endsWith('.tgz'));
  if (packed.length !== 1) throw new Error(`${packed.length} tarballs`);
  tarball = join(temp, packed[0]);
}

// The tarball has exactly what package.json, lib/ and native/ call for.
async function files() {
  const { stdout } = await command('tar', ['-tzf', tarball]);
  const packed = stdout
    .split('\n')
    .filter((path) => path !== '' && !path.endsWith('/'))
    .map((path) => path.replace(/^package\//, ''));
  // An .mts file becomes .mjs and .d.mts.
  const compiled = below('lib').flatMap((path) => [
    `dist/${path.replace(/ts$/, 'js')}`,
    `dist/${path.replace(/(m?ts)$/, 'd.$1')}`,
  ]);
  const required = [
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'binding.gyp',
    'package.json',
    'scripts/build-native.mjs',
    ...compiled,
    ...below('native').map((path) => `native/${path}`),
  ];
  const prebuilt = `prebuilds/${process.platform}-${process.arch}/`;
  const isPrebuild = /^prebuilds\/(README\.md|[^/]+\/[^/]+\.node)$/;

  const missing = required.filter((path) => !packed.includes(path));
  if (!packed.some((path) => path.startsWith(prebuilt))) missing.push(prebuilt);
  const surplus = packed.filter(
    (path) => !required.includes(path) && !isPrebuild.test(path),
  );
  if (missing.length > 0 || surplus.length > 0) {
    throw new Error(
      [
        ...missing.map((path) => `\n  missing in the tarball: ${path}`),
        ...surplus.map((path) => `\n  not to be in the tarball: ${path}`),
      ].join(''),
    );
  }
}

async function publint() {
  await command(join(bin, 'publint'), ['run', tarball, '--strict']);
}

// Every way to resolve the package must be right: profile strict, no rule
// ignored. CommonJS with one .d.ts is what `import` and `require` both get.
async function attw() {
  const options = ['--profile', 'strict', '--format', 'ascii', '--no-emoji'];
  await command(join(bin, 'attw'), [tarball, ...options]);
}

async function install() {
  mkdirSync(project);
  write('package.json', JSON.stringify({ name: 'project', private: true }));
  await command(
    'npm',
    [
      'install',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--no-update-notifier',
      tarball,
    ],
    { cwd: project },
  );
  // What is installed must do without a build of this tree.
  if (existsSync(join(project, 'node_modules/jobserver/build'))) {
    throw new Error('it has a build/ of its own');
  }
  write('jobs.mjs', 'export const add = (a, b) => a + b;\n');
  write('jobs.cjs', 'exports.add = (a, b) => a + b;\n');
  write('smoke.mjs', `${esmHead}${smoke}`);
  write('smoke.cjs', `${cjsHead}(async () => {${smoke}})();\n`);
}

async function smokeTest(file) {
  const { stdout } = await command(process.execPath, [file], { cwd: project });
  if (stdout !== 'done\n') throw new Error(`it printed ${stdout}`);
}

async function consumers() {
  write('consumer.mts', consumer);
  write('consumer.cts', consumer);
  write(
    'tsconfig.json',
    JSON.stringify({
      compilerOptions: {
        target: 'es2022',
        module: 'nodenext',
        moduleResolution: 'nodenext',
        strict: true,
        skipLibCheck: false,
        noEmit: true,
        types: ['node'],
      },
      files: ['consumer.mts', 'consumer.cts'],
    }),
  );
  mkdirSync(join(project, 'node_modules', '@types'), { recursive: true });
  symlinkSync(
    join(root, 'node_modules', '@types', 'node'),
    join(project, 'node_modules', '@types', 'node'),
  );
  await command(join(bin, 'tsc'), ['-p', project], { cwd: project });
}

async function command(file, args, { cwd = root, minutes = 2 } = {}) {
  const { failure, output } = await run(file, args, {
    cwd,
    timeoutMs: minutes * 60_000,
  });
  if (failure === undefined) return output;
  throw new Error(`${failure}\n${output.all.replace(/^(?=.)/gm, '  ')}`);
}

function below(folder) {
  return readdirSync(join(root, folder), {
    recursive: true,
    withFileTypes: true,
  })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name).slice(join(root, folder).length + 1),
    );
}

function write(file, text) {
  writeFileSync(join(project, file), text);
}

function removeTemp() {
  rmSync(temp, { recursive: true, force: true });
}
