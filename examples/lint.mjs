// Lints the scripts below a folder with the recommended rules of ESLint:
//   node examples/lint.mjs [FOLDER]
// The exit code is 0 if ESLint has found nothing, 1 if it has, and 130 after Ctrl-C.
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import js from '@eslint/js';
import { Linter } from 'eslint';
import { Jobserver, isWorker } from 'jobserver';

// The rule would need to know which globals the scripts have.
const config = [js.configs.recommended, { rules: { 'no-undef': 'off' } }];

export function lintFile(path) {
  const filename = basename(path);
  return new Linter()
    .verify(readFileSync(path, 'utf8'), config, { filename })
    .map(
      ({ line, column, message }) => `${path}:${line}:${column}: ${message}`,
    );
}

/** Prints what ESLint finds, and returns the exit code. */
async function lint(files) {
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort()); // The second one ends it.
  const { signal } = interrupt;
  const jobserver = new Jobserver({
    // ESLint is loaded once, in the forkserver. Each process lints many files with
    // it, so that V8 compiles its code only once in each.
    preload: [import.meta.url],
    jobsPerProcess: Infinity,
  });
  let found = 0;
  console.log(`Linting ${files.length} files`);
  try {
    // Some files take a few milliseconds only. A job lints four of them.
    const results = jobserver.map(lintFile, files, { chunkSize: 4, signal });
    for await (const messages of results) {
      for (const message of messages) console.log(message);
      found += messages.length;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    console.log('Interrupted');
    return 130;
  } finally {
    await jobserver.close();
  }
  console.log(`${files.length} files, ${found} messages`);
  return found > 0 ? 1 : 0;
}

if (!isWorker) {
  const [folder = '.'] = process.argv.slice(2);
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.[cm]?js$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
  process.exitCode = await lint(files);
}
