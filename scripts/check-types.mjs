// Checks the types of the sources, then the declarations of the package.
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from './build.mjs';
import {
  command,
  commandLine,
  endWithCommands,
  root,
  runSteps,
} from './command.mjs';
import { npmPackage } from './npm-package.mjs';

const supported = ['5.6', '5.9', '6', '7'];
const usage = `
Usage: node scripts/check-types.mjs [VERSION …]

Compiles lib/ and test/. Then compiles a project that uses the package, as an
ES module and as CommonJS, with each version of TypeScript that is supported,
by default ${supported.join(', ')}.
`;
const { positionals } = commandLine(usage, { allowPositionals: true });
const versions = positionals.length > 0 ? positionals : supported;

const compilerOptions = {
  target: 'es2022',
  module: 'nodenext',
  moduleResolution: 'nodenext',
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  noEmit: true,
  types: ['node'],
};

const project = mkdtempSync(join(tmpdir(), 'check-types-'));
const removeProject = () => rmSync(project, { recursive: true, force: true });

endWithCommands(removeProject);
try {
  await build({ native: false, tests: true });
  await setUp();
  const compile = async (version) => {
    const typescript = await npmPackage('typescript', version);
    const tsc = join(typescript, 'bin', 'tsc');
    await command(process.execPath, [tsc, '-p', project], { cwd: project });
  };
  const steps = versions.map((version) => [
    `TypeScript ${version}`,
    () => compile(version),
  ]);
  await runSteps(Object.fromEntries(steps));
} finally {
  removeProject();
}

async function setUp() {
  const modules = join(project, 'node_modules');
  mkdirSync(join(modules, '@types'), { recursive: true });
  const installed = join(modules, 'jobserver');
  mkdirSync(installed);
  copyFileSync(join(root, 'package.json'), join(installed, 'package.json'));
  cpSync(join(root, 'dist'), join(installed, 'dist'), { recursive: true });
  const packages = ['@types/node', 'undici-types', 'bullmq', 'ioredis'];
  for (const name of packages) {
    symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
  const consumer = join(root, 'test', 'types', 'consumer.mts');
  const files = ['consumer.mts', 'consumer.cts'];
  for (const file of files) copyFileSync(consumer, join(project, file));
  const config = JSON.stringify({ compilerOptions, files });
  writeFileSync(join(project, 'tsconfig.json'), config);
}
