// A store of large values: files in the folder CHAOS_STORE. Undefined without one.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export const store = storeIn(process.env.CHAOS_STORE);

export function storeIn(folder) {
  if (folder === undefined) return undefined;
  return {
    put: (key, bytes) => writeFile(join(folder, key), bytes),
    get: (key) => readFile(join(folder, key)),
    drop: (key) => rm(join(folder, key), { force: true }),
  };
}
