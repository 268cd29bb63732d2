// Which vitest runs, and whether the pool can serve it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { isOlder } from '../system/version.js';

const needed = 'jobserver/vitest needs vitest 4.1 or later';

/**
 * Throws where no vitest can be found that is recent enough. The configuration is read
 * before vitest says where it is, and an older one would only say that the pool is no
 * string.
 */
export function checkInstalled(): void {
  // The program that runs is mostly that of vitest.
  const places = [process.argv[1], join(process.cwd(), 'x.js'), __filename];
  for (const place of places) {
    const version = versionFrom(place);
    if (version === undefined) continue;
    checkRecent(version);
    return;
  }
  throw new Error(`${needed}, which is not installed`);
}

let checked: string | undefined;

/** `distPath`: see `PoolRequest`. */
export function checkVersion(distPath: string): void {
  if (distPath === checked) return;
  checkRecent(versionIn(join(distPath, '..', 'package.json')));
  checked = distPath;
}

function checkRecent(version: string): void {
  if (!isOlder(version, '4.1')) return;
  throw new Error(`${needed}, and has found vitest ${version}`);
}

function versionFrom(place: string | undefined): string | undefined {
  if (place === undefined) return undefined;
  try {
    return versionIn(createRequire(place).resolve('vitest/package.json'));
  } catch {
    return undefined; // There is none, from there.
  }
}

function versionIn(file: string): string {
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as {
    version: string;
  };
  return version;
}
