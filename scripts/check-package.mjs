// Packs the package and looks at it as a stranger would: at the files in it,
// and with publint and attw.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { command, endWithCommands, root, run, runSteps } from './command.mjs';
import { pack } from './pack.mjs';
import { unfitTargets } from './prebuilds.mjs';

const bin = join(root, 'node_modules', '.bin');
const temp = mkdtempSync(join(tmpdir(), 'check-package-'));
let tarball = '';

endWithCommands(removeTemp);
try {
  tarball = await pack(temp);
  await runSteps({ prepack, files, publint, attw });
} finally {
  removeTemp();
}

// Nobody publishes a package that lacks a platform.
async function prepack() {
  const dry = ['pack', '--dry-run', '--silent'];
  const { failure, output } = await run('npm', dry, {
    cwd: root,
    timeoutMs: 120_000,
  });
  const hasAll = unfitTargets().length === 0;
  if (hasAll && failure !== undefined) throw new Error(output.all);
  if (!hasAll && !/prebuild:all/.test(output.all)) {
    throw new Error('it packs without the binaries of all platforms');
  }
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
    'UPGRADING.md',
    'LICENSE',
    'README.md',
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

function removeTemp() {
  rmSync(temp, { recursive: true, force: true });
}
