// Finds functions among exports: the parent finds them by identity, the worker
// by their source text. Also searches the registry of require(), the builtin
// modules and the globals.
import Module from 'node:module';
import { isModuleNamespaceObject } from 'node:util/types';

/** The property names that lead from exports or globals to a function. */
export type Path = readonly string[];

interface SearchOptions {
  /** The longest path, by default 3: `default` of CommonJS counts as one. */
  depth?: number;
  /** Whether to call accessors of the root: compilers export through them. */
  accessors?: boolean;
  /** The property to look at first. */
  first?: string;
}

/** Of a function's source text. */
export function fingerprint(fn: Function): string {
  return hashOf(textOf(fn));
}

/** Length and FNV-1a hash. */
export function hashOf(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return `${text.length}:${(hash >>> 0).toString(36)}`;
}

/** The source text, even where the function has a toString of its own. */
export function textOf(fn: Function): string {
  return Function.prototype.toString.call(fn);
}

/** The name; '' when a class has a static `name` that is not a string. */
export function nameOf(fn: Function): string {
  const name: unknown = fn.name;
  return typeof name === 'string' ? name : '';
}

/** The value that `path` leads to from `root`; undefined when it ends early. */
export function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>((holder, key, index) => {
    if (!isObject(holder)) return undefined;
    // A class may inherit static methods, but `root` also inherits properties
    // that are no exports, such as toString.
    if (index === 0 && !Object.hasOwn(holder, key)) return undefined;
    return (holder as Record<string, unknown>)[key];
  }, root);
}

/** The path to `fn`, found by identity. */
export function pathOf(
  fn: Function,
  root: unknown,
  options?: SearchOptions,
): Path | undefined {
  for (const [path, found] of functionsIn(root, options)) {
    if (found === fn) return path;
  }
  return undefined;
}

/**
 * All functions below `root`, those with the shortest paths first. Each object
 * is searched once.
 */
export function* functionsIn(
  root: unknown,
  options: SearchOptions = {},
): Generator<[Path, Function]> {
  if (!isObject(root)) return;
  if (typeof root === 'function') yield [[], root];
  const seen = new Set<unknown>([root]);
  let level: [Path, object][] = [[[], root]];
  for (let depth = 0; depth < (options.depth ?? 3); depth++) {
    const next: typeof level = [];
    for (const [path, holder] of level) {
      const accessors = options.accessors === true && depth === 0;
      for (const [key, value] of members(holder, accessors, options.first)) {
        const to = [...path, key];
        if (typeof value === 'function') yield [to, value];
        if (!isObject(value) || seen.has(value)) continue;
        seen.add(value);
        if (holdsExports(value)) next.push([to, value]);
      }
    }
    level = next;
  }
}

function* members(
  holder: object,
  accessors: boolean,
  first: string | undefined,
): Generator<[string, unknown]> {
  const rank = (key: string): number =>
    key === first ? 0 : key === 'default' ? 1 : 2;
  const keys = Object.getOwnPropertyNames(holder)
    .filter((key) => !(typeof holder === 'function' && key === 'prototype'))
    .sort((a, b) => rank(a) - rank(b));
  const late: string[] = [];
  for (const key of keys) {
    try {
      const property = Object.getOwnPropertyDescriptor(holder, key);
      if (property === undefined) continue;
      if ('value' in property) yield [key, property.value];
      else if (accessors) late.push(key);
    } catch {
      // The export is in its temporal dead zone, so it has no value yet.
    }
  }
  for (const key of late) {
    let value: unknown;
    try {
      value = (holder as Record<string, unknown>)[key];
    } catch {
      continue; // An accessor that throws exports nothing.
    }
    yield [key, value];
  }
}

function isObject(value: unknown): value is object {
  return (
    (typeof value === 'object' && value !== null) || typeof value === 'function'
  );
}

function holdsExports(value: object): boolean {
  if (typeof value === 'function' || isModuleNamespaceObject(value))
    return true;
  if (Object.prototype.toString.call(value) !== '[object Object]') return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Node's own Module class; under jest `node:module` exports a subclass. */
export function nodeModule(): typeof Module & {
  _cache?: Record<string, NodeModule | undefined>;
} {
  const parent = Object.getPrototypeOf(Module) as typeof Module | null;
  const isSubclass = typeof parent?.createRequire === 'function';
  return isSubclass ? parent : Module;
}

/** The module in the registry of require() that was loaded from a file. */
export function loadedModule(file: string): NodeModule | undefined {
  return nodeModule()._cache?.[file];
}

/**
 * A loaded CommonJS module that exports `fn` under its own name, or whose
 * module.exports is `fn`.
 */
export function moduleExporting(
  fn: Function,
): { module: NodeModule; path: Path } | undefined {
  // The registry lists a module before those that it imports. Searched
  // backwards, the module that defines a function comes before those that
  // re-export it.
  const name = nameOf(fn);
  const modules = Object.values(nodeModule()._cache ?? {}).reverse();
  for (const module of modules) {
    if (!module?.filename || !isObject(module.exports)) continue;
    if (module.exports === fn) return { module, path: [] };
    const own = Object.getOwnPropertyDescriptor(module.exports, name);
    if (own?.value === fn) return { module, path: [name] };
  }
  return undefined;
}

// Globals with functions that work without `this`. Reading every global instead
// would load those that Node creates on demand (fetch alone takes 80 ms).
const globalHolders = [
  ...['Math', 'JSON', 'Reflect', 'Atomics', 'Object', 'Number', 'String'],
  ...['Array', 'ArrayBuffer', 'Date', 'BigInt', 'Symbol', 'Proxy', 'Intl'],
  ...['WebAssembly', 'console'],
];

/** The path of a global such as parseInt or Math.hypot. Calls no accessor. */
export function globalPath(fn: Function, roots: object[]): Path | undefined {
  const valueOf = (holder: unknown, key: string): unknown =>
    isObject(holder)
      ? Object.getOwnPropertyDescriptor(holder, key)?.value
      : undefined;
  for (const root of roots) {
    if (valueOf(root, nameOf(fn)) === fn) return [nameOf(fn)];
    for (const holder of globalHolders) {
      const path = pathOf(fn, valueOf(root, holder), { depth: 1 });
      if (path !== undefined) return [holder, ...path];
    }
  }
  return undefined;
}

// Builtin modules that are not searched, because loading them prints a warning,
// has side effects or needs a flag. Modules that exist only as 'node:…' are
// experimental, and those with an underscore are deprecated.
const unsearched =
  /^(_|node:|(cluster|domain|inspector(\/promises)?|punycode|repl|sys|test|trace_events|wasi)$)/;

/**
 * The public builtin module that exports a function. `script`, the URL of its
 * source, is a hint where to search first.
 */
export function builtinExporting(
  fn: Function,
  script = '',
): { module: string; path: Path } | undefined {
  const names = Module.builtinModules.filter((name) => !unsearched.test(name));
  const own = script.replace(/^node:(internal\/)?/, '');
  const rank = (name: string): number =>
    name === own ? 0 : `${own}/`.startsWith(`${name}/`) ? 1 : 2;
  for (const name of names.sort((a, b) => rank(a) - rank(b))) {
    const path = pathOf(fn, require(`node:${name}`), { depth: 2 });
    if (path !== undefined) return { module: `node:${name}`, path };
  }
  return undefined;
}
