// The worker's side of funcref: chooses the function that a name means among
// the exports of a module that has been loaded.
import { codedTypeError } from '../errors.js';
import { locate, type Place } from './location.js';
import { at, fingerprint, functionsIn, type Path } from './exports.js';
import {
  advice,
  shortUrl,
  type ExportRef,
  type FunctionRef,
  type PlaceRef,
} from './url.js';

/** A function with the shortest way to find it again. */
export interface Choice {
  fn: Function;
  ref: FunctionRef;
}

/**
 * `root` is globalThis, module.exports or the namespace of import(). Throws a
 * TypeError when nothing in it is the function that was named.
 */
export function chooseFunction(ref: FunctionRef, root: unknown): Choice {
  if (ref.kind === 'place') return choosePlace(ref, root);
  for (const path of ref.kind === 'export' ? aliases(ref) : [ref.path]) {
    const fn = at(root, path);
    if (typeof fn !== 'function') continue;
    if (ref.kind !== 'export' || ref.print === undefined) return { fn, ref };
    if (fingerprint(fn) === ref.print) return { fn, ref };
    throw changed(ref, path.join('.') || 'module.exports');
  }
  throw missing(ref, root);
}

// What import() has of CommonJS is in `default`, even twice for a compiled ES
// module; for require a default export may be module.exports itself.
function aliases({ path, load }: ExportRef): Path[] {
  if (load === 'import') return [path, ['default', ...path]];
  return path[0] === 'default' ? [path, path.slice(1)] : [path];
}

function choosePlace(ref: PlaceRef, root: unknown): Choice {
  const chosen = (path: Path, fn: Function): Choice => {
    const { url, load, print } = ref;
    return { fn, ref: { kind: 'export', url, load, path, print } };
  };
  for (const path of likely(ref, root)) {
    const fn = at(root, path);
    if (typeof fn === 'function' && fingerprint(fn) === ref.print) {
      return chosen(path, fn);
    }
  }
  if (ref.paths !== undefined) throw lost(ref);

  const matches = new Map<Function, Path>();
  for (const [path, fn] of functionsIn(root, { accessors: true })) {
    if (!matches.has(fn) && fingerprint(fn) === ref.print) {
      matches.set(fn, path);
    }
  }
  const fn = matches.size > 1 ? placed(ref, matches) : [...matches.keys()][0];
  if (fn !== undefined) return chosen(matches.get(fn)!, fn);
  return byName(ref, root);
}

function likely(ref: PlaceRef, root: unknown): Path[] {
  if (ref.paths === undefined) {
    return [[ref.name], ['default', ref.name], ['default']];
  }
  // A class may be the default export; its local name is the class's own.
  const main = at(root, ['default']);
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

// Several functions with one text: the right one stands at the right place.
function placed(ref: PlaceRef, matches: Map<Function, Path>): Function {
  const places: [Function, Place][] = [];
  try {
    for (const fn of matches.keys()) {
      const place = locate(fn);
      if (place !== undefined) places.push([fn, place]);
    }
  } catch (error) {
    throw ambiguous(ref, matches, { cause: error });
  }
  const onLine = places.filter(([, { line }]) => line === ref.line);
  const exact = onLine.filter(([, { column }]) => column === ref.column);
  // A wrapper around a file shifts columns of its first line: jest's does.
  const best = exact.length > 0 ? exact : onLine;
  if (best.length === 1) return best[0]![0];
  throw ambiguous(ref, matches);
}

function byName(ref: PlaceRef, root: unknown): Choice {
  if (ref.isRewritten) {
    for (const path of likely(ref, root).slice(0, 2)) {
      const fn = at(root, path);
      if (typeof fn !== 'function') continue;
      const { url, load } = ref;
      return { fn, ref: { kind: 'export', url, load, path } };
    }
  }
  throw lost(ref);
}

function lost(ref: PlaceRef): TypeError {
  const name = ref.paths?.[0]?.join('.') ?? ref.name;
  return refusal(
    `No export of ${shortUrl(ref.url)} is the function ` +
      `${name === '' ? '' : `${name} `}of line ${ref.line + 1} that was ` +
      `submitted: it is not exported, or the file has changed since it was ` +
      `loaded, or it has been bundled. ${advice}`,
  );
}

function changed(ref: ExportRef, name: string): TypeError {
  return refusal(
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
  return refusal(
    `Several exports of ${shortUrl(ref.url)} look like the function that was ` +
      `submitted: ${some(names)}. Name it by URL: ` +
      `new URL('./file.js#${names[0]}', import.meta.url)`,
    options,
  );
}

function missing(
  ref: Exclude<FunctionRef, PlaceRef>,
  root: unknown,
): TypeError {
  const name = ref.path.join('.') || 'module.exports';
  if (ref.kind === 'global') {
    return refusal(`There is no global function ${name} in this process`);
  }
  const module = ref.kind === 'builtin' ? ref.module : shortUrl(ref.url);
  const found = [...functionsIn(root, { depth: 1, accessors: false })]
    .map(([path]) => path.join('.') || 'module.exports')
    .filter((path) => path !== '');
  return refusal(
    `${module} exports no function ${name}; ` +
      (found.length > 0 ? `it has ${some(found)}` : 'it has none'),
  );
}

function some(names: string[]): string {
  const rest = names.length - 10;
  const shown = names.slice(0, 10).join(', ');
  return rest > 0 ? `${shown} and ${rest} more` : shown;
}

function refusal(message: string, options?: ErrorOptions): TypeError {
  return codedTypeError('ERR_JOBSERVER_FUNCTION', message, options);
}
