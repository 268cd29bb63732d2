// What lies in the `root` of an executor or a host.
import { realpathSync } from 'node:fs';
import { isAbsolute, relative, sep } from 'node:path';

/**
 * The way from `root` to a file or folder, without symbolic links; undefined where there
 * is none in it. '' is `root` itself.
 */
export function pathInside(root: string, path: string): string | undefined {
  let real: string;
  try {
    real = realpathSync(path);
  } catch {
    return undefined;
  }
  const inside = relative(root, real);
  const isOutside = inside === '..' || inside.startsWith(`..${sep}`);
  return isOutside || isAbsolute(inside) ? undefined : inside;
}
