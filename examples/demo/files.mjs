// Lists the files that the demo compresses, and groups them for jobs.
import { readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

// The default: about a minute of work for two slots.
const DEFAULT_PACKAGES = ['@babel', 'eslint', 'prettier', 'typescript'];

// Largest first, because the job that starts last should be a short one.
export function listFiles(folder) {
  const modules = new URL('../../node_modules/', import.meta.url);
  const folders =
    folder === undefined
      ? DEFAULT_PACKAGES.map((name) => fileURLToPath(new URL(name, modules)))
      : [folder];
  const files = folders.flatMap((root) => {
    if (!statSync(root, { throwIfNoEntry: false })?.isDirectory()) {
      throw new Error(`No such folder: ${relative('', root) || root}`);
    }
    return [...filesBelow(root)];
  });
  if (files.length === 0) throw new Error(`No files below ${folder}`);
  return files.sort((a, b) => b.size - a.size || (a.path < b.path ? -1 : 1));
}

function* filesBelow(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    if (entry.isFile()) yield { path, size: statSync(path).size };
  }
}

// A new node takes tens of milliseconds to start, so small files share a job.
// Each group is work for at most about a second.
export function* groupFiles(files, quality) {
  const enough = (quality >= 10 ? 1 : 4) * 1024 * 1024;
  const sizeOfOpening = 8 * 1024;
  let group = { paths: [], size: 0 };
  for (const { path, size } of files) {
    group.paths.push(path);
    group.size += size + sizeOfOpening;
    if (group.size < enough) continue;
    yield group.paths;
    group = { paths: [], size: 0 };
  }
  if (group.paths.length > 0) yield group.paths;
}
