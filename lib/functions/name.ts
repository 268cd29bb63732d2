// The parent's side: finds the name of a function, or the reason why no other
// process can import it.
import { pathToFileURL } from 'node:url';
import { isModuleNamespaceObject } from 'node:util/types';
import { mainGlobal } from '../system/main-global.js';
import {
  exportsNothing,
  learnExports,
  learnExportsNow,
  mayLearnExports,
  namespaceOf,
} from './loaded-module.js';
import { locate, type SourceLocation } from './location.js';
import {
  builtinExporting,
  fingerprint,
  functionsIn,
  globalPath,
  loadedModule,
  moduleExporting,
  nameOf,
  pathOf,
  textOf,
  type Path,
} from './exports.js';
import {
  fileOf,
  isFile,
  shortUrl,
  type ExportRef,
  type FunctionRef,
  type Load,
  type PlaceRef,
} from './url.js';

/** Makes the error; `why` is the predicate of a sentence about the function. */
export type Refuse = (why: string, options?: ErrorOptions) => TypeError;

/** Throws the error of `refuse` when certainly no process can import `fn`. */
export function findName(fn: Function, refuse: Refuse): FunctionRef {
  const text = textOf(fn);
  if (isClass(fn, text)) {
    throw refuse('is a class, which cannot be called without new');
  }
  if (text.endsWith('{ [native code] }')) return nameNative(fn, refuse);

  const exported = moduleExporting(fn);
  if (exported !== undefined) {
    return nameLoaded(fn, exported.module, exported.path);
  }
  let location: SourceLocation | undefined;
  try {
    location = locate(fn);
  } catch (error) {
    const why = 'cannot be located: this Node has no usable node:inspector';
    throw refuse(why, { cause: error });
  }
  if (location === undefined) throw refuse('has no location in any script');
  if (location.url.startsWith('node:')) {
    const builtin = builtinExporting(fn, location.url);
    if (builtin !== undefined) return { kind: 'builtin', ...builtin };
    const path = globalPath(fn, globals());
    if (path !== undefined) return { kind: 'global', path };
    throw refuse(`was made by ${location.url}, whose public module lacks it`);
  }
  return nameByLocation(fn, location, refuse);
}

/** Whether a call without `new` throws. */
export function isClass(fn: Function, text: string): boolean {
  if (!/^class[^\w$]/.test(text)) return false;
  return Object.getOwnPropertyDescriptor(fn, 'prototype')?.writable === false;
}

function nameNative(fn: Function, refuse: Refuse): FunctionRef {
  const path = globalPath(fn, globals());
  if (path !== undefined) return { kind: 'global', path };
  if (nameOf(fn).startsWith('bound ')) throw refuse('is a bound function');
  const builtin = builtinExporting(fn);
  if (builtin !== undefined) return { kind: 'builtin', ...builtin };
  throw refuse('has no source text, and no global or builtin module has it');
}

// A vm context has a Math of its own, and shares some globals of Node.
function globals(): object[] {
  return [globalThis, mainGlobal()];
}

function nameLoaded(fn: Function, module: NodeModule, path: Path): ExportRef {
  const url = pathToFileURL(module.filename).href;
  return {
    kind: 'export',
    url,
    load: isModuleNamespaceObject(module.exports) ? 'import' : 'require',
    path,
    print: fingerprint(fn),
  };
}

function nameByLocation(
  fn: Function,
  location: SourceLocation,
  refuse: Refuse,
): FunctionRef {
  const { url } = location;
  const reason = reasonAgainst(url);
  if (reason !== undefined) throw refuse(reason);

  const file = fileOf(url);
  const loaded = file === undefined ? undefined : loadedModule(file);
  if (loaded !== undefined) {
    const path = pathOf(fn, loaded.exports, {
      accessors: true,
      first: nameOf(fn),
    });
    if (path !== undefined) return nameLoaded(fn, loaded, path);
  }
  const isRewritten = mainGlobal() !== globalThis;
  if (loaded?.loaded === true && !isRewritten) {
    throw refuse(`is not exported from ${file}`);
  }
  const ref = { ...placeOf(fn, location, refuse), isRewritten };
  const isKnown = namespaceOf(url) !== undefined;
  if (file !== undefined && !isKnown && exportsNothing(file)) {
    throw refuse(`is not exported from ${file}`);
  }
  if (ref.load === 'import') unproven.set(ref, refuse);
  // A function of another realm belongs to a module that import() does not know.
  const isImported = location.isInModule && fn instanceof Function;
  if (isImported && !isRewritten) learnExports(url);
  checkExported(ref);
  return ref;
}

/** The names of functions of ES modules whose exports are not known yet. */
const unproven = new WeakMap<FunctionRef, Refuse>();

/**
 * Throws if it has become known since `ref` was made that its module does not
 * export the function.
 */
export function checkExported(ref: FunctionRef): void {
  const refuse = unproven.get(ref);
  if (refuse === undefined || ref.kind !== 'place') return;
  const namespace = namespaceOf(ref.url);
  if (namespace === undefined) return;
  if (isHidden(ref, namespace)) {
    throw refuse(
      `is not exported from ${fileOf(ref.url) ?? shortUrl(ref.url)}`,
    );
  }
  unproven.delete(ref);
}

/** Whether `checkExported` may know more within this turn of the event loop. */
export function mayBeRefused(ref: FunctionRef): boolean {
  return ref.kind === 'place' && unproven.has(ref) && mayLearnExports(ref.url);
}

/** For a call that blocks the thread: makes `checkExported` know what it can. */
export function checkExportedNow(ref: FunctionRef): void {
  if (mayBeRefused(ref)) learnExportsNow((ref as PlaceRef).url);
  checkExported(ref);
}

function placeOf(
  fn: Function,
  { url, line, column, nesting, variables }: SourceLocation,
  refuse: Refuse,
): Omit<PlaceRef, 'isRewritten'> {
  const ref = {
    kind: 'place',
    url,
    load: loadOf(url),
    name: nameOf(fn),
    print: fingerprint(fn),
    line,
    column,
  } as const;
  if (nesting === 'none') return ref;

  // Other functions may have the same text and location. The name of a variable
  // that holds this function distinguishes it from them.
  const paths: Path[] = [];
  for (const [path, found] of functionsIn(variables, { depth: 2 })) {
    if (found === fn) paths.push(path);
  }
  if (paths.length > 0) return { ...ref, paths };
  if (variables === undefined && nesting === 'block') return ref;
  throw refuse(
    `is a closure: it uses variables of a ${nesting} in ${shortUrl(url)}`,
  );
}

// Whether no export of the module has the text of the function.
function isHidden({ print }: PlaceRef, namespace: unknown): boolean {
  for (const [, fn] of functionsIn(namespace, { accessors: true })) {
    if (fingerprint(fn) === print) return false;
  }
  return true;
}

// Why no process can import from a script; undefined when one can.
function reasonAgainst(url: string): string | undefined {
  const base = url.slice(url.lastIndexOf('/') + 1);
  if (/^\[(eval|stdin|worker eval)\d*\]$/.test(base)) {
    return `was given to node as text (${base})`;
  }
  if (/^REPL\d*$/.test(url)) return 'was typed into the REPL';
  if (url === '' || url.startsWith('evalmachine.')) {
    return 'was made from text (eval, new Function, vm)';
  }
  if (!URL.canParse(url)) return `has no module, but the script ${url}`;
  if (!url.startsWith('file:')) return undefined;
  const file = fileOf(url);
  if (file !== undefined && isFile(file)) return undefined;
  return `comes from ${url}, which does not exist`;
}

/**
 * How to load a module: by require(), which is faster, when it is certainly
 * CommonJS.
 */
export function loadOf(url: string): Load {
  const file = fileOf(url);
  if (file === undefined || new URL(url).search !== '') return 'import';
  const loaded = loadedModule(file);
  if (loaded === undefined) return file.endsWith('.cjs') ? 'require' : 'import';
  return isModuleNamespaceObject(loaded.exports) ? 'import' : 'require';
}
