// What this process knows about the exports of an ES module that it has loaded.
// Node has no registry of them as require() has for CommonJS.
import { readFileSync } from 'node:fs';

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

/** The namespace that `importModule` has returned. */
export function namespaceOf(url: string): unknown {
  return namespaces.get(url);
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
