// Checks the layers of lib/: a file imports only from a lower rank or from its own
// folder. Type-only imports count like any other.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import ts from 'typescript';
import { commandLine, root as ownRoot } from './command.mjs';

const usage = `
Usage: node scripts/check-layers.mjs [FOLDER]

Fails when a file in lib/ imports from a higher rank. FOLDER is the root of the
package, by default this one.
`;

// Highest first. An entry is a folder in lib/, or a file there without its
// extension. Entries of one rank do not import each other.
const ranks = [
  ['cli'],
  ['index', 'bullmq', 'vitest'],
  ['executor'],
  ['jobserver'],
  ['map'],
  ['job'],
  ['launch'],
  ['child'],
  ['protocol'],
  ['memory'],
  ['slots', 'functions', 'wire', 'output'],
  ['system'],
  ['context'],
  ['errors'],
  ['usage'],
];

// Its code runs in another process, so no other folder imports it.
const sealed = 'child';

// Imports that break the rule for a reason. `lazy`: only by import(), by a
// require() inside a function, or for types, so that loading the one file does
// not load the other.
const exceptions = [
  {
    from: 'launch/fork',
    to: 'child/fork',
    reason: 'a forked child is already in the process that runs the job',
  },
  {
    from: 'child/run',
    to: 'jobserver',
    lazy: true,
    reason: 'only a job that gets a handle pays for loading the top',
  },
  {
    from: 'job/info',
    to: 'jobserver',
    lazy: true,
    reason: 'only a job that asks for its Jobserver pays for loading the top',
  },
  {
    from: 'child/zygote',
    to: 'jobserver',
    lazy: true,
    reason: 'a job that asks for its Jobserver finds it loaded',
  },
];

// The only packages that lib/ imports, and the files that may import them.
const packages = new Map([
  ['node-gyp-build', ['system/binding']],
  ['bullmq', ['bullmq/packages']],
  ['bullmq/package.json', ['bullmq/packages']],
  ['ioredis', ['bullmq/packages']],
  ['ioredis/package.json', ['bullmq/packages']],
]);

const { positionals } = commandLine(usage, { allowPositionals: true });
const root = resolve(positionals[0] ?? ownRoot);
const lib = join(root, 'lib');
const files = sourceFiles(lib);
const entries = new Set(files.map((file) => entryOf(nameOf(file))));
const edges = files.flatMap(importsOf);
const problems = [
  ...ranks
    .flat()
    .filter((name) => !entries.has(name))
    .map(missing),
  ...[...entries].filter((name) => rankOf(name) < 0).map(unranked),
  ...edges.map(problemOf).filter((problem) => problem !== undefined),
];

if (files.length === 0) problems.push(`No source files in ${lib}`);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
const between = edges.filter(isBetweenEntries).length;
console.log(
  `layers: ${files.length} files, ${edges.length} imports, ` +
    `${between} of them between folders`,
);

function sourceFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .filter((file) => /(?<!\.d)\.[cm]?ts$/.test(file))
    .map((file) => join(folder, file))
    .sort();
}

// Every import, export … from, import type, import() and require() of a file
// whose target is a literal.
function importsOf(file) {
  const source = ts.createSourceFile(
    file,
    readFileSync(file, 'utf8'),
    ts.ScriptTarget.Latest,
  );
  const found = [];
  visit(source, false);
  return found;

  function visit(node, isInFunction) {
    const target = targetOf(node);
    if (target !== undefined) {
      const start = node.getStart(source);
      const line = source.getLineAndCharacterOfPosition(start).line + 1;
      const isLazy =
        isOnlyType(node) ||
        (ts.isCallExpression(node) && (isInFunction || isDynamic(node)));
      found.push({ file, line, target: target.text, isLazy });
    }
    const isFunction = isInFunction || ts.isFunctionLike(node);
    ts.forEachChild(node, (child) => visit(child, isFunction));
  }
}

function targetOf(node) {
  const target = literalOf(node);
  return target && ts.isStringLiteralLike(target) ? target : undefined;
}

function literalOf(node) {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
    return node.moduleSpecifier;
  }
  if (ts.isExternalModuleReference(node)) return node.expression;
  if (ts.isImportTypeNode(node)) {
    return ts.isLiteralTypeNode(node.argument)
      ? node.argument.literal
      : undefined;
  }
  const isImport =
    ts.isCallExpression(node) && (isDynamic(node) || isRequire(node));
  return isImport ? node.arguments[0] : undefined;
}

function isOnlyType(node) {
  return (
    ts.isImportTypeNode(node) ||
    (ts.isImportDeclaration(node) &&
      node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword)
  );
}

function isDynamic(call) {
  return call.expression.kind === ts.SyntaxKind.ImportKeyword;
}

function isRequire({ expression }) {
  const callee = ts.isPropertyAccessExpression(expression)
    ? expression.expression
    : expression;
  return ts.isIdentifier(callee) && callee.text === 'require';
}

function problemOf(edge) {
  const problem = edge.target.startsWith('.')
    ? problemInside(edge)
    : problemOutside(edge);
  if (problem === undefined) return undefined;
  const place = `${relative(root, edge.file)}:${edge.line}`;
  return `${place}: imports ${edge.target}: ${problem}`;
}

function problemOutside({ file, target }) {
  if (target.startsWith('node:')) return undefined;
  const users = packages.get(target);
  if (users === undefined) return 'only node:* and listed packages';
  if (users.includes(nameOf(file))) return undefined;
  return `only ${users.join(', ')} may`;
}

function problemInside({ file, target, isLazy }) {
  const path = resolve(dirname(file), target);
  if (!path.startsWith(lib + sep)) return 'it is outside of lib/';
  const from = nameOf(file);
  const to = nameOf(path);
  const [upper, lower] = [entryOf(from), entryOf(to)];
  // An entry without a rank is reported once, elsewhere.
  if (upper === lower || rankOf(upper) < 0) return undefined;
  if (rankOf(lower) < 0) return `${lower} has no rank`;

  const exception = exceptions.find((e) => e.from === from && e.to === to);
  if (exception !== undefined) {
    return exception.lazy && !isLazy
      ? 'allowed only by import(), by require() in a function, or for types'
      : undefined;
  }
  if (lower === sealed) return `no other folder may import ${sealed}`;
  if (rankOf(upper) < rankOf(lower)) return undefined;
  return `${upper} (rank ${rankOf(upper)}) may not import ${lower} (rank ${rankOf(lower)})`;
}

/** 1 for the highest rank; -1 for an entry that has none. */
function rankOf(entry) {
  const index = ranks.findIndex((names) => names.includes(entry));
  return index < 0 ? -1 : index + 1;
}

/** The part of a path below lib/ that has a rank: its first component. */
function entryOf(name) {
  return name.split(sep, 1)[0];
}

function isBetweenEntries({ file, target }) {
  if (!target.startsWith('.')) return false;
  return (
    entryOf(nameOf(file)) !== entryOf(nameOf(resolve(dirname(file), target)))
  );
}

function nameOf(file) {
  return relative(lib, file).replace(/\.[cm]?[jt]s$/, '');
}

function missing(name) {
  return `lib/${name} has a rank in scripts/check-layers.mjs, but does not exist`;
}

function unranked(name) {
  return `lib/${name} has no rank: give it one in scripts/check-layers.mjs`;
}
