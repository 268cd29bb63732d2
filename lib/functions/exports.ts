// Finds functions among exports: by identity in the parent, by their text in
// the worker. Also knows the module registry, the builtins and the globals.
import Module from 'node:module';
import { isModuleNamespaceObject } from 'node:util/types';

/** Property names from a module's exports (or the globals) to a function. */
export type Path = readonly string[];

interface Extent {
  /** Longest path, 3 when not given: `default` of CommonJS takes one. */
  depth?: number;
  /** Read accessors of the root too: compilers export through them. */
  accessors?: boolean;
  /** Where to look first. */
  first?: string;
}

/** Length and FNV-1a hash of a function's source text. */
export function fingerprint(fn: Function): string {
  const text = textOf(fn);
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return `${text.length}:${(hash >>> 0).toString(36)}`;
}

/** The source text as it is, whatever the function's own toString says. */
export function textOf(fn: Function): string {
  return Function.prototype.toString.call(fn);
}

/** A class may have a static `name` of its own that is no string. */
export function nameOf(fn: Function): string {
  const name: unknown = fn.name;
  return typeof name === 'string' ? name : '';
}

/** What `path` leads to from `root`; undefined when it ends early. */
export function at(root: unknown, path: Path): unknown {
  return path.reduce<unknown>((holder, key, index) => {
    if (!isObject(holder)) return undefined;
    // Inherited statics count, but not what every object inherits.
    if (index === 0 && !Object.hasOwn(holder, key)) return undefined;
    return (holder as Record<string, unknown>)[key];
  }, root);
}

/** The path of this very function. */
export function pathOf(
  fn: Function,
  root: unknown,
  extent?: Extent,
): Path | undefined {
  for (const [path, found] of functionsIn(root, extent)) {
    if (found === fn) return path;
  }
  return undefined;
}

/** All functions below `root`, shortest paths first; each object once. */
export function* functionsIn(
  root: unknown,
  extent: Extent = {},
): Generator<[Path, Function]> {
  if (!isObject(root)) return;
  if (typeof root === 'function') yield [[], root];
  const seen = new Set<unknown>([root]);
  let level: [Path, object][] = [[[], root]];
  for (let depth = 0; depth < (extent.depth ?? 3); depth++) {
    const next: typeof level = [];
    for (const [path, holder] of level) {
      const accessors = extent.accessors === true && depth === 0;
      for (const [key, value] of members(holder, accessors, extent.first)) {
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
      // An export in its temporal dead zone: nobody can have its function.
    }
  }
  for (const key of late) {
    let value: unknown;
    try {
      value = (holder as Record<string, unknown>)[key];
    } catch {
      continue; // An accessor that fails exports nothing.
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

/** Node's own Module: jest hands out a subclass of it. */
export function nodeModule(): typeof Module & {
  _cache?: Record<string, NodeModule | undefined>;
} {
  const parent = Object.getPrototypeOf(Module) as typeof Module | null;
  const isSubclass = typeof parent?.createRequire === 'function';
  return isSubclass ? parent : Module;
}

/** A module in the registry of require, by its file. */
export function loadedModule(file: string): NodeModule | undefined {
  return nodeModule()._cache?.[file];
}

/** A loaded module with this function under its own name, or as its exports. */
export function moduleExporting(
  fn: Function,
): { module: NodeModule; path: Path } | undefined {
  // Importers come before what they import, and the entry script first of all:
  // backwards finds the module that defines before those that re-export.
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

// Globals whose functions work without `this`. They are listed because reading
// all globals would load what Node makes on demand (fetch alone takes 80 ms).
const holders = [
  ...['Math', 'JSON', 'Reflect', 'Atomics', 'Object', 'Number', 'String'],
  ...['Array', 'ArrayBuffer', 'Date', 'BigInt', 'Symbol', 'Proxy', 'Intl'],
  ...['WebAssembly', 'console'],
];

/** A global such as parseInt or Math.hypot. No accessor is called. */
export function globalPath(fn: Function, roots: object[]): Path | undefined {
  const valueOf = (holder: unknown, key: string): unknown =>
    isObject(holder)
      ? Object.getOwnPropertyDescriptor(holder, key)?.value
      : undefined;
  for (const root of roots) {
    if (valueOf(root, nameOf(fn)) === fn) return [nameOf(fn)];
    for (const holder of holders) {
      const path = pathOf(fn, valueOf(root, holder), { depth: 1 });
      if (path !== undefined) return [holder, ...path];
    }
  }
  return undefined;
}

// Loading these warns or has effects, or they need a flag. Those that exist
// only as 'node:…' are experimental, those with an underscore deprecated.
const unasked =
  /^(_|node:|(cluster|domain|inspector(\/promises)?|punycode|repl|sys|test|trace_events|wasi)$)/;

/** The public builtin module that exports a function; `script` is a hint. */
export function builtinExporting(
  fn: Function,
  script = '',
): { module: string; path: Path } | undefined {
  const names = Module.builtinModules.filter((name) => !unasked.test(name));
  const own = script.replace(/^node:(internal\/)?/, '');
  const rank = (name: string): number =>
    name === own ? 0 : `${own}/`.startsWith(`${name}/`) ? 1 : 2;
  for (const name of names.sort((a, b) => rank(a) - rank(b))) {
    const path = pathOf(fn, require(`node:${name}`), { depth: 2 });
    if (path !== undefined) return { module: `node:${name}`, path };
  }
  return undefined;
}
