// The module of `--store`.
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ValueStore } from '../bullmq/value-store.js';
import { Failure } from './exit.js';
import { reasonOf } from './reason.js';

/**
 * Imports the export `store` of a module: a path that begins with a dot or a slash,
 * relative to the working directory; a `file:` URL; or a package that `root` has.
 *
 * @throws Failure
 */
export async function loadStore(
  module: string,
  root: string,
): Promise<ValueStore> {
  let store: unknown;
  try {
    const namespace: unknown = await import(urlOf(module, root));
    ({ store } = namespace as { store?: unknown });
  } catch (error) {
    throw new Failure(`--store ${module}: ${reasonOf(error)}`);
  }
  if (store !== undefined) return store as ValueStore;
  throw new Failure(`--store ${module} has no export \`store\``);
}

function urlOf(module: string, root: string): string {
  if (module.startsWith('file:')) return module;
  const path = /^\.{0,2}\//.test(module)
    ? resolve(module)
    : createRequire(join(root, 'index.js')).resolve(module);
  return pathToFileURL(path).href;
}
