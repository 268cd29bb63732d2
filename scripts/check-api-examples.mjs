// Checks that the docstring of each public symbol has an example, or a link to a
// symbol or a page that has one.
import { readFileSync } from 'node:fs';
import { commandLine } from './command.mjs';

const usage = `
Usage: node scripts/check-api-examples.mjs FILE

Fails when an export, or a public method of an exported class, has neither an
@example in its docstring, nor a {@link} to a symbol that has one, nor a link to
a page in docs/ or examples/. FILE is the output of typedoc --json.
`;
const { positionals } = commandLine(usage, { allowPositionals: true });
if (positionals.length !== 1) throw new Error('Expected one FILE');
const project = JSON.parse(readFileSync(positionals[0], 'utf8'));

// ReflectionKind of typedoc.
const kinds = { module: 2, class: 128, method: 2048 };

const symbols = exportsOf(project).flatMap((symbol) => [
  { name: symbol.name, symbol },
  ...methodsOf(symbol).map((method) => ({
    name: `${symbol.name}.${method.name}`,
    symbol: method,
  })),
]);
const withExample = new Set(
  symbols.map(({ symbol }) => symbol).filter((symbol) => hasExample(symbol)),
);
const exampleIds = new Set([...withExample].map(({ id }) => id));
const missing = symbols.filter(
  ({ symbol }) => !withExample.has(symbol) && !linksToExample(symbol),
);
for (const { name } of missing) {
  console.error(`${name}: no @example, and no link to one`);
}
if (symbols.length === 0) console.error('No public symbols');
if (missing.length > 0 || symbols.length === 0) process.exitCode = 1;
else console.log(`examples: ${symbols.length} public symbols`);

/** A project with several entry points has a module for each. */
function exportsOf({ children = [] }) {
  return children.flatMap((child) =>
    child.kind === kinds.module ? exportsOf(child) : [child],
  );
}

function methodsOf({ kind, children = [] }) {
  if (kind !== kinds.class) return [];
  return children.filter(
    (child) =>
      child.kind === kinds.method &&
      child.inheritedFrom === undefined &&
      child.flags?.isExternal !== true,
  );
}

function hasExample(symbol) {
  return commentsOf(symbol).some(({ blockTags = [] }) =>
    blockTags.some(({ tag }) => tag === '@example'),
  );
}

function linksToExample(symbol) {
  const parts = commentsOf(symbol).flatMap(({ summary = [], blockTags = [] }) =>
    [...summary, ...blockTags.flatMap(({ content }) => content)].flat(),
  );
  return parts.some(({ kind, tag, target, text }) => {
    if (kind === 'relative-link') return /(^|\/)(docs|examples)\//.test(text);
    return kind === 'inline-tag' && tag === '@link' && exampleIds.has(target);
  });
}

/** A method has its comments at its signatures, one for each overload. */
function commentsOf({ comment, signatures = [] }) {
  const all = [comment, ...signatures.map((signature) => signature.comment)];
  return all.filter((each) => each !== undefined);
}
