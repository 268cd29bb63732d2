// Work of the kind that build tools do: each function reads one file and returns
// its output. It imports its tool at the first call, so that a process loads only
// the tool that it uses.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const scripts = { pattern: /\.[cm]?js$/, from: 4e3, to: 64e3 };
const maps = { pattern: /\.map$/, from: 16e3, to: 4e6 };

/** The files that each kind of work reads, and the packages that it imports. */
export const kinds = {
  eslint: { files: scripts, tools: ['eslint', '@eslint/js'] },
  prettier: { files: scripts, tools: ['prettier'] },
  typescript: { files: scripts, tools: ['typescript'] },
  terser: { files: scripts, tools: ['terser'] },
  brotli: { files: scripts, tools: [] },
  gzip: { files: scripts, tools: [] },
  json: { files: maps, tools: [] },
};

const read = (path) => readFileSync(path, 'utf8');

export async function eslint(path) {
  const { Linter } = await import('eslint');
  const { default: js } = await import('@eslint/js');
  const filename = basename(path);
  const { recommended } = js.configs;
  return JSON.stringify(
    new Linter().verify(read(path), recommended, { filename }),
  );
}

export async function prettier(path) {
  const { format } = await import('prettier');
  return format(read(path), { parser: 'babel' }).catch(messageOf);
}

export async function typescript(path) {
  const { default: ts } = await import('typescript');
  const compilerOptions = {
    module: ts.ModuleKind.CommonJS,
    target: ts.ScriptTarget.ES2017,
  };
  const fileName = basename(path);
  return ts.transpileModule(read(path), { compilerOptions, fileName })
    .outputText;
}

export async function terser(path) {
  const { minify } = await import('terser');
  return minify(read(path)).then(({ code }) => code, messageOf);
}

// Some files are JSX, or fragments of programs.
function messageOf({ message }) {
  return message;
}

export function gzip(path) {
  return gzipSync(readFileSync(path), { level: 9 });
}

export function brotli(path) {
  const params = { [constants.BROTLI_PARAM_QUALITY]: 10 };
  return brotliCompressSync(readFileSync(path), { params });
}

/** Parses JSON and writes it with sorted keys. */
export function json(path) {
  return JSON.stringify(sorted(JSON.parse(read(path))), null, 1);
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}

/** Parses lines of JSON. Returns the sum for each name, and 1 MiB of values. */
export function parseLines(path) {
  const sums = new Map();
  const values = new Float64Array(2 ** 17);
  let index = 0;
  for (const line of read(path).split('\n')) {
    if (line === '') continue;
    const { name, value } = JSON.parse(line);
    sums.set(name, (sums.get(name) ?? 0) + value);
    values[index++ % values.length] += value;
  }
  return [sums, values];
}

/** Computes for so many milliseconds. */
export function spin(milliseconds) {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

/** Counts the primes among so many numbers. */
export function primes([from, numbers]) {
  let count = 0;
  for (let n = from; n < from + numbers; n++) {
    let divisor = 2;
    while (divisor * divisor <= n && n % divisor !== 0) divisor++;
    if (divisor * divisor > n) count++;
  }
  return count;
}
