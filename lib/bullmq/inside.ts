// What lies in the `root` of an executor or a host.
import { realpathSync } from 'node:fs';
import { isAbsolute, relative, sep } from 'node:path';

/**
 * The way from `root` to a path; undefined where that is not in it. '' is `root` itself.
 * Does not look at symbolic links.
 */
export function wayInside(root: string, path: string): string | undefined {
  const way = relative(root, path);
  const isOutside = way === '..' || way.startsWith(`..${sep}`);
  return isOutside || isAbsolute(way) ? undefined : way;
}

/** The same without symbolic links. Undefined also where nothing is there. */
export function realWayInside(root: string, path: string): string | undefined {
  try {
    return wayInside(root, realpathSync(path));
  } catch {
    return undefined;
  }
}
