// The worker's side: finds the function that a name refers to among the exports
// of a loaded module.
import { codedTypeError } from '../errors.js';
import { locate, type SourceLocation } from './location.js';
import { fingerprint, functionsIn, type Path, valueAt } from './exports.js';
import {
  exportHint,
  shortUrl,
  type ExportRef,
  type NameRef,
  type PlaceRef,
} from './url.js';

/** A function, with the name by which it is found fastest. */
export interface ResolvedFunction {
  fn: Function;
  ref: NameRef;
}

/**
 * `root` is globalThis, module.exports or the namespace of import(). Throws a
 * TypeError when it does not contain the function that `ref` names.
 */
export function resolveFunction(ref: NameRef, root: unknown): ResolvedFunction {
  if (ref.kind === 'place') return resolvePlace(ref, root);
  for (const path of ref.kind === 'export' ? aliases(ref) : [ref.path]) {
    const fn = valueAt(root, path);
    if (typeof fn !== 'function') continue;
    if (ref.kind !== 'export' || ref.print === undefined) return { fn, ref };
    if (fingerprint(fn) === ref.print) return { fn, ref };
    throw changed(ref, path.join('.') || 'module.exports');
  }
  throw missing(ref, root);
}

// import() puts the exports of CommonJS into `default`, where those of a
// compiled ES module have a `default` themselves. For require(), a default
// export may be module.exports itself.
function aliases({ path, load }: ExportRef): Path[] {
  if (load === 'import') return [path, ['default', ...path]];
  return path[0] === 'default' ? [path, path.slice(1)] : [path];
}

function resolvePlace(ref: PlaceRef, root: unknown): ResolvedFunction {
  const resolved = (path: Path, fn: Function): ResolvedFunction => {
    const { url, load, print } = ref;
    return { fn, ref: { kind: 'export', url, load, path, print } };
  };
  for (const path of likelyPaths(ref, root)) {
    const fn = valueAt(root, path);
    if (typeof fn === 'function' && fingerprint(fn) === ref.print) {
      return resolved(path, fn);
    }
  }
  if (ref.paths !== undefined) throw notFound(ref);

  const matches = new Map<Function, Path>();
  for (const [path, fn] of functionsIn(root, { accessors: true })) {
    if (!matches.has(fn) && fingerprint(fn) === ref.print) {
      matches.set(fn, path);
    }
  }
  const fn = matches.size > 1 ? located(ref, matches) : [...matches.keys()][0];
  if (fn !== undefined) return resolved(matches.get(fn)!, fn);
  return resolveByName(ref, root);
}

function likelyPaths(ref: PlaceRef, root: unknown): Path[] {
  if (ref.paths === undefined) {
    return [[ref.name], ['default', ref.name], ['default']];
  }
  // `ref` may have the local name of a class that is the default export.
  const main = valueAt(root, ['default']);
  const name = typeof main === 'function' ? main.name : undefined;
  return ref.paths.flatMap(([head, ...rest]) =>
    head === name && rest.length > 0
      ? [
          [head!, ...rest],
          ['default', ...rest],
        ]
      : [[head!, ...rest]],
  );
}

// Of several functions with the same text, the one at the location in `ref`.
function located(ref: PlaceRef, matches: Map<Function, Path>): Function {
  const locations: [Function, SourceLocation][] = [];
  try {
    for (const fn of matches.keys()) {
      const location = locate(fn);
      if (location !== undefined) locations.push([fn, location]);
    }
  } catch (error) {
    throw ambiguous(ref, matches, { cause: error });
  }
  const onLine = locations.filter(([, { line }]) => line === ref.line);
  const exact = onLine.filter(([, { column }]) => column === ref.column);
  // A wrapper around the file, such as jest's, shifts the columns of its first
  // line.
  const best = exact.length > 0 ? exact : onLine;
  if (best.length === 1) return best[0]![0];
  throw ambiguous(ref, matches);
}

function resolveByName(ref: PlaceRef, root: unknown): ResolvedFunction {
  if (ref.isRewritten) {
    for (const path of likelyPaths(ref, root).slice(0, 2)) {
      const fn = valueAt(root, path);
      if (typeof fn !== 'function') continue;
      const { url, load } = ref;
      return { fn, ref: { kind: 'export', url, load, path } };
    }
  }
  throw notFound(ref);
}

function notFound(ref: PlaceRef): TypeError {
  const name = ref.paths?.[0]?.join('.') ?? ref.name;
  return functionError(
    `No export of ${shortUrl(ref.url)} is the function ` +
      `${name === '' ? '' : `${name} `}of line ${ref.line + 1} that was ` +
      `submitted: it is not exported, or the file has changed since it was ` +
      `loaded, or it has been bundled. ${exportHint}`,
  );
}

function changed(ref: ExportRef, name: string): TypeError {
  return functionError(
    `${name} of ${shortUrl(ref.url)} is not the function that was submitted: ` +
      `the file has changed since it was loaded, or it exports something ` +
      `else each time`,
  );
}

function ambiguous(
  ref: PlaceRef,
  matches: Map<Function, Path>,
  options?: ErrorOptions,
): TypeError {
  const names = [...matches.values()].map((path) => path.join('.'));
  return functionError(
    `Several exports of ${shortUrl(ref.url)} look like the function that was ` +
      `submitted: ${listOf(names)}. Name it by URL: ` +
      `new URL('./file.js#${names[0]}', import.meta.url)`,
    options,
  );
}

function missing(ref: Exclude<NameRef, PlaceRef>, root: unknown): TypeError {
  const name = ref.path.join('.') || 'module.exports';
  if (ref.kind === 'global') {
    return functionError(`There is no global function ${name} in this process`);
  }
  const module = ref.kind === 'builtin' ? ref.module : shortUrl(ref.url);
  const found = [...functionsIn(root, { depth: 1, accessors: false })]
    .map(([path]) => path.join('.') || 'module.exports')
    .filter((path) => path !== '');
  return functionError(
    `${module} exports no function ${name}; ` +
      (found.length > 0 ? `it has ${listOf(found)}` : 'it has none'),
  );
}

// At most ten names.
function listOf(names: string[]): string {
  const rest = names.length - 10;
  const shown = names.slice(0, 10).join(', ');
  return rest > 0 ? `${shown} and ${rest} more` : shown;
}

function functionError(message: string, options?: ErrorOptions): TypeError {
  return codedTypeError('ERR_JOBSERVER_FUNCTION', message, options);
}
