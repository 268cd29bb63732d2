// Fails when an import in lib/ goes against the order of the layers:
//   node scripts/check-layers.mjs [root of the package]
// A file imports from a lower layer or from its own folder; lib/ itself does
// not count as a folder. Type-only imports count like any other.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

// Highest first. A name is a path below lib/ without its extension; `launch/*`
// is all that is in lib/launch. What is in a `sealed` layer runs in another
// process: nobody outside of it imports it.
const layers = [
  { level: 9, files: ['index'] },
  { level: 8, files: ['executor'] },
  { level: 7, files: ['jobserver'] },
  { level: 6.7, files: ['map', 'executor-map'] },
  { level: 6.6, files: ['map-input'] },
  { level: 6.5, files: ['controls'] },
  { level: 6, files: ['resources'] },
  { level: 5.6, files: ['work'] },
  { level: 5.5, files: ['submission'] },
  { level: 5, files: ['future'] },
  { level: 4, files: ['job'] },
  { level: 3, files: ['launch/*'] },
  { level: 2.5, files: ['child/*'], sealed: true },
  { level: 2.45, files: ['order-file'] },
  { level: 2.4, files: ['order', 'slot-count'] },
  { level: 2.3, files: ['funcref'] },
  { level: 2.2, files: ['function-choice', 'function-naming', 'job-record'] },
  {
    level: 2,
    files: [
      'slots',
      'make/*',
      'wire/*',
      'function-location',
      'function-url',
      'ambient',
      'worker-state',
    ],
  },
  { level: 1.5, files: ['wait', 'selector'] },
  {
    level: 1,
    files: [
      'fd',
      'frame',
      'abort',
      'changes',
      'function-search',
      'priority-queue',
    ],
  },
  {
    level: 0,
    files: [
      'binding',
      'context',
      'deadline',
      'environment',
      'queue',
      'cpu-quota',
      'signals',
      'trace',
      'validate',
    ],
  },
  { level: -1, files: ['errors'] },
];

// Edges that the order forbids and we want. `lazy`: only by import(), by a
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
    from: 'child/zygote',
    to: 'jobserver',
    lazy: true,
    reason: 'a job that asks for its Jobserver finds it loaded',
  },
];

// What lib/ may import beside itself and node:*, and in which file.
const packages = new Map([['node-gyp-build', ['binding']]]);

const root = resolve(
  process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..'),
);
const lib = join(root, 'lib');
const files = sourceFiles(lib);
const edges = files.flatMap(importsOf);
const problems = [
  ...files.filter((file) => layerOf(nameOf(file)) === undefined).map(homeless),
  ...edges.map(problemOf).filter((problem) => problem !== undefined),
];

if (files.length === 0) problems.push(`No source files in ${lib}`);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`layers: ${files.length} files, ${edges.length} imports`);

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
  const to = nameOf(existsSync(path) ? join(path, 'index.ts') : path);
  const [upper, lower] = [layerOf(from), layerOf(to)];
  // The importing file has been reported; so has the imported one, if it exists.
  if (upper === undefined) return undefined;
  if (lower === undefined) return 'it has no layer';

  const exception = exceptions.find((e) => e.from === from && e.to === to);
  if (exception !== undefined) {
    return exception.lazy && !isLazy
      ? 'allowed only by import(), by require() in a function, or for types'
      : undefined;
  }
  const folder = dirname(from);
  if (folder !== '.' && folder === dirname(to)) return undefined;
  if (lower.sealed) return `nobody outside of ${lower.files} may`;
  if (upper.level > lower.level) return undefined;
  if (upper.level < lower.level) {
    return `layer ${upper.level} may not import layer ${lower.level}`;
  }
  return `layer ${upper.level} may not import itself outside of one folder`;
}

function layerOf(name) {
  return layers.find(({ files }) =>
    files.some((pattern) =>
      pattern.endsWith('/*')
        ? name.startsWith(pattern.slice(0, -1))
        : name === pattern,
    ),
  );
}

function nameOf(file) {
  return relative(lib, file).replace(/\.[cm]?[jt]s$/, '');
}

function homeless(file) {
  const place = `${relative(root, file)}:1`;
  return `${place}: is in no layer: give it a layer in scripts/check-layers.mjs`;
}
