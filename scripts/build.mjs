// Builds the addon and the TypeScript, for a person and for other scripts. A
// part that is newer than its sources is not built again, and a file that stays the same
// is not written, because tests may be running.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { commandLine, endWithCommands, root, run } from './command.mjs';
import { copyFiles, link, linkedFiles } from './link.mjs';

const usage = `
Usage: node scripts/build.mjs [--lib] [--tests]

Builds the addon into build/ and lib/ into dist/.

  --lib    Only lib/, without the addon.
  --tests  Also test/, into dist-test/.
`;

const compiled = join(root, 'build', 'lib');
const dist = join(root, 'dist');

/**
 * Throws when a part cannot be built; the tools print why. `linked: false`
 * leaves the modules of lib/ in files of their own.
 */
export async function build(options = {}) {
  const { native = true, tests = false, linked = true } = options;
  const tsc = ['node_modules/typescript/bin/tsc', '-p'];
  if (native) await buildPart('addon', 'scripts/build-native.mjs');
  await buildPart('lib/', ...tsc, 'tsconfig.json');
  removeStale('build/lib', 'lib');
  (linked ? link : copyFiles)(compiled, dist);
  removeStale('dist', 'lib');
  if (!tests) return;
  await buildPart('test/', ...tsc, 'tsconfig.test.json');
  removeStale('dist-test', 'test');
}

async function buildPart(name, ...args) {
  const options = { cwd: root, timeoutMs: 600_000, inherit: true };
  const { failure } = await run(process.execPath, args, options);
  if (failure !== undefined) throw new Error(`build of ${name}: ${failure}`);
}

/** Removes what tsc has made from a source that was deleted or renamed. */
function removeStale(output, source) {
  for (const name of readdirSync(join(root, output), { recursive: true })) {
    const match = /^(.+?)(?:\.d)?(\.m?)[jt]s$/.exec(name);
    if (match === null || linkedFiles.includes(name)) continue;
    const [, stem, extension] = match;
    if (existsSync(join(root, source, `${stem}${extension}ts`))) continue;
    rmSync(join(root, output, name));
  }
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = commandLine(usage, {
    options: { lib: { type: 'boolean' }, tests: { type: 'boolean' } },
  });
  endWithCommands();
  try {
    await build({ native: !values.lib, tests: values.tests });
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
