// The modules that the user names in `preload`, and which URLs Node would load them by.
import { pathToFileURL } from 'node:url';
import { invalidArgument, invalidValue } from '../errors.js';
import { isUrl } from '../functions/url.js';
import type { Project } from './project.js';

export interface PreloadList {
  readonly modules: readonly string[];
  readonly isAuto: boolean;
}

export function checkPreload(given: unknown): PreloadList {
  if (given === undefined) return { modules: [], isAuto: false };
  if (given === 'auto') return { modules: [], isAuto: true };
  const isList =
    typeof given === 'object' && given !== null && Symbol.iterator in given;
  if (!isList) {
    throw invalidArgument('preload', "'auto' or an iterable of modules", given);
  }
  const all = [...(given as Iterable<unknown>)].map((each, i) => {
    if (isUrl(each)) return each.href;
    if (typeof each === 'string' && each !== '') return each;
    throw invalidArgument(`preload[${i}]`, 'a URL or a string', each);
  });
  const modules = all.filter((each) => each !== 'auto');
  return { modules, isAuto: modules.length < all.length };
}

/** The URLs by which the files of a project import the modules. */
export function urlsFor(
  project: Project,
  modules: readonly string[],
): Promise<string[]> {
  return Promise.all(modules.map((name) => urlFor(project, name)));
}

async function urlFor(project: Project, name: string): Promise<string> {
  if (/^(file|data|node):/.test(name)) return name;
  const { root } = project.config;
  const { pluginContainer } = project.vite.environments['ssr']!;
  const found = await pluginContainer.resolveId(name, `${root}/preload.js`);
  const file = found?.id.replace(/[?#].*$/, '');
  if (file?.startsWith('/') === true) return pathToFileURL(file).href;
  if (file !== undefined && /^(file|node):/.test(file)) return file;
  throw invalidValue('preload', `modules that can be found from ${root}`, name);
}
