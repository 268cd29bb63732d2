// What this process knows about the exports of an ES module that it has loaded.
// Node has no registry of them as require() has for CommonJS.
import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers';
import { fileURLToPath } from 'node:url';
import { isModuleNamespaceObject } from 'node:util/types';
import { loadedModule, nodeModule } from './exports.js';

const namespaces = new Map<string, unknown>();

/**
 * The namespace of `import(url)`. Further calls return the same namespace
 * without calling Node's loader again.
 */
export async function importModule(url: string): Promise<unknown> {
  let namespace = namespaces.get(url);
  if (namespace === undefined) {
    namespace = await import(url);
    namespaces.set(url, namespace);
  }
  return namespace;
}

/** The namespace, once an `importModule` has settled. */
export function namespaceOf(url: string): unknown {
  return namespaces.get(url);
}

const asked = new Set<string>();
const pending = new Set<string>();

/**
 * Makes the exports known of a module that this process has loaded. Its import()
 * runs nothing, and settles within a turn of the event loop unless the module is
 * still evaluated.
 */
export function learnExports(url: string): void {
  if (asked.has(url) || namespaces.has(url)) return;
  asked.add(url);
  pending.add(url);
  setImmediate(() => pending.delete(url));
  importModule(url).catch(() => undefined);
}

/**
 * Makes the exports known at once, where require() can do that: of a module that
 * has been evaluated. Not for a URL with a query, because require() would load
 * its file once more.
 */
export function learnExportsNow(url: string): void {
  if (required.has(url) || namespaces.has(url)) return;
  required.add(url);
  if (!canRequire || !/^file:[^?#]*$/.test(url)) return;
  const file = fileURLToPath(url);
  const isKnown = loadedModule(file) !== undefined;
  try {
    const namespace: unknown = nodeModule().createRequire(file)(file);
    if (isModuleNamespaceObject(namespace)) namespaces.set(url, namespace);
  } catch {
    // The module is still evaluated, or waits at its top level.
  }
  if (!isKnown) delete nodeModule()._cache?.[file];
}

const required = new Set<string>();

// Before 22.13, Node prints a warning.
const [major, minor] = process.versions.node.split('.').map(Number);
const canRequire = major! >= 24 || (major === 22 && minor! >= 13);

/** Whether this turn of the event loop may still make the exports known. */
export function mayLearnExports(url: string): boolean {
  return pending.has(url) && !namespaces.has(url);
}

const exporting = new Set<string>();

/**
 * Whether certainly no function is exported from a file, because its text has no
 * such word. A module that is still evaluated has no better proof.
 */
export function exportsNothing(file: string): boolean {
  if (exporting.has(file) || !/\.[cm]?[jt]sx?$/.test(file)) return false;
  if (!/\bexports?\b/.test(readFileSync(file, 'utf8'))) return true;
  exporting.add(file);
  return false;
}
