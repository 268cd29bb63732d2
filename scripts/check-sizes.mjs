// Checks the sizes of files in lib/ and native/, and of functions in native/; the
// functions in lib/ are checked by eslint.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { commandLine, root as ownRoot } from './command.mjs';

const limits = { fileLines: 300, functionLines: 60, parameters: 4 };
const usage = `
Usage: node scripts/check-sizes.mjs [FOLDER]

Fails when a file in lib/ or native/ has more than ${limits.fileLines} lines, where comment
lines count half, or when a function in native/ has more than ${limits.functionLines} lines
or ${limits.parameters} parameters. FOLDER is the root of the package, by default this one.
`;
const { positionals } = commandLine(usage, { allowPositionals: true });
const root = resolve(positionals[0] ?? ownRoot);

// Public classes: most of their lines are docstrings and their many methods.
const longFiles = [
  'lib/jobserver.ts',
  'lib/job/future.ts',
  'lib/executor/executor.ts',
  'lib/bullmq/executor.ts',
  'lib/protocol/job-port.ts',
];

const files = ['lib', 'native'].flatMap((folder) => sourcesIn(folder));
const problems = files.flatMap(({ path, text }) => [
  ...problemsOfFile(path, text),
  ...(path.startsWith('native/') ? problemsOfFunctions(path, text) : []),
]);
if (files.length === 0) problems.push(`No source files in ${root}`);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
else console.log(`sizes: ${files.length} files`);

function sourcesIn(folder) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true })
    .filter((name) => /\.(m?ts|cc|h)$/.test(name))
    .sort()
    .map((name) => {
      const text = readFileSync(join(root, folder, name), 'utf8');
      return { path: `${folder}/${name}`, text };
    });
}

function problemsOfFile(path, text) {
  if (longFiles.includes(path)) return [];
  const lines = text.trimEnd().split('\n');
  const comments = lines.filter((line) => /^\s*(\/\/|\/\*|\*)/.test(line));
  const size = lines.length - comments.length / 2;
  if (size <= limits.fileLines) return [];
  const counted = `${size} lines, where comment lines count half`;
  return [`${path}: ${counted}; at most ${limits.fileLines} are allowed`];
}

function problemsOfFunctions(path, text) {
  return cppFunctions(text).flatMap(({ name, line, lines, parameters }) => {
    const found = [];
    if (lines > limits.functionLines) {
      found.push(`${lines} lines; at most ${limits.functionLines} are allowed`);
    }
    if (parameters > limits.parameters) {
      const most = limits.parameters;
      found.push(`${parameters} parameters; at most ${most} are allowed`);
    }
    return found.map((problem) => `${path}:${line}: ${name}: ${problem}`);
  });
}

/**
 * The functions that are defined in C++ source, but not lambdas: their name,
 * first line, number of lines of code, and number of parameters.
 */
function cppFunctions(source) {
  const text = blankOut(source);
  const found = [];
  // The start of the declaration that is being read.
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === ';' || text[at] === '}') start = at + 1;
    else if (text[at] === '{') {
      const head = withoutTemplate(text.slice(start, at));
      if (isScope(head)) {
        start = at + 1;
        continue;
      }
      const end = closing(text, at);
      const [name, parameters] = signature(head);
      // Braces that are not a body initialize a value or list enumerators.
      if (name !== undefined && !isInitializer(head)) {
        const skipped = /^(\s*(public|protected|private):)*\s*/;
        const first = start + skipped.exec(text.slice(start))[0].length;
        const line = text.slice(0, first).split('\n').length;
        const code = text.slice(first, end + 1).split('\n');
        const lines = code.filter((each) => each.trim() !== '').length;
        found.push({ name, line, lines, parameters });
        start = end + 1;
      }
      at = end;
    }
  }
  return found;
}

/** Replaces comments, directives and literals by blanks; keeps line breaks. */
function blankOut(source) {
  const hidden =
    /\/\/.*|\/\*[^]*?\*\/|^[ \t]*#(?:.*\\\n)*.*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'/gm;
  return source.replace(hidden, (match) => match.replace(/[^\n]/g, ' '));
}

/** Whether a brace after this head opens a scope that may hold functions. */
function isScope(head) {
  // The blanks of extern "C" are what is left of its literal.
  if (/^\s*extern\s*$/.test(head)) return true;
  return /^\s*(inline\s+)?(namespace|class|struct|union)\b[^()=]*$/.test(head);
}

/** Removes `template <…>` from the start of a declaration. */
function withoutTemplate(head) {
  const match = /^\s*template\s*</.exec(head);
  if (match === null) return head;
  const open = match[0].length - 1;
  return withoutTemplate(head.slice(closing(head, open) + 1));
}

/** Whether a brace after this head starts an initializer, as in `: fd_{1}`. */
function isInitializer(head) {
  const text = head.trimEnd();
  if (/=$|\breturn$|,$/.test(text)) return true;
  const isAfterParameters =
    /([)}]|\b(const|override|final|noexcept)|->\s*[\w:<>*& ]+)$/;
  return !isAfterParameters.test(text);
}

/** The name before the first parenthesis, and the number of parameters in it. */
function signature(head) {
  const match = /([\w:~]+|operator\s*\S+)\s*\(/.exec(head);
  if (match === null || head.slice(0, match.index).includes('=')) return [];
  const open = match.index + match[0].length - 1;
  const inside = head.slice(open + 1, closing(head, open));
  if (/^\s*(void)?\s*$/.test(inside)) return [match[1], 0];
  let depth = 0;
  let parameters = 1;
  for (const character of inside) {
    if ('(<{['.includes(character)) depth++;
    else if (')>}]'.includes(character)) depth--;
    else if (character === ',' && depth === 0) parameters++;
  }
  return [match[1], parameters];
}

/** Where the bracket at `open` is closed. */
function closing(text, open) {
  const close = { '(': ')', '{': '}', '<': '>' }[text[open]];
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === text[open]) depth++;
    else if (text[at] === close && --depth === 0) return at;
  }
  return text.length;
}
