// The parts of the name of a function, and the form that users write: a URL or
// a string 'module#export'. The parent parses such a name and checks that the
// module exists, but does not load it.
import Module from 'node:module';
import { statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { codedTypeError, invalidValue } from '../errors.js';
import { nodeModule, type Path } from './exports.js';

/** Whether `path` starts at module.exports or at the namespace of import(). */
export type Load = 'require' | 'import';

interface GlobalRef {
  readonly kind: 'global';
  readonly path: Path;
}

interface BuiltinRef {
  readonly kind: 'builtin';
  readonly module: string;
  readonly path: Path;
}

export interface ExportRef {
  readonly kind: 'export';
  readonly url: string;
  readonly load: Load;
  readonly path: Path;
  /** The fingerprint. Without it, when the user wrote the path, any fits. */
  readonly print?: string;
}

/**
 * A function of a module whose exports the parent cannot see. It is named by
 * the place of its source text.
 */
export interface PlaceRef {
  readonly kind: 'place';
  readonly url: string;
  readonly load: Load;
  readonly name: string;
  /** The fingerprint. */
  readonly print: string;
  readonly line: number;
  readonly column: number;
  /** Given when other functions may have its text: the paths to look at. */
  readonly paths?: readonly Path[];
  /** The parent runs a transformed text (jest), so only the name can match. */
  readonly isRewritten: boolean;
}

/** The name of a function in a module of the user. */
export type ModuleRef = ExportRef | PlaceRef;

/** A function that is sent as its source text. */
export interface TextRef {
  readonly kind: 'text';
  readonly text: string;
  /** May be ''. */
  readonly name: string;
  /** The path of its file; undefined where it was given to node as text. */
  readonly file: string | undefined;
  /** Counts from 0. */
  readonly line: number;
}

/** The name of a function that is found in another process. */
export type NameRef = GlobalRef | BuiltinRef | ModuleRef;

/** The name of a function, or its text, as plain data. */
export type FunctionRef = NameRef | TextRef;

/** A module and the path of an export in it. */
export interface ExportName {
  /** Without the fragment; 'node:zlib' for a builtin module. */
  url: string;
  path: Path;
}

/** The end of messages about a function that cannot be imported. */
export const exportHint =
  `Export it from a module, or name it by URL: ` +
  `new URL('./file.js#name', import.meta.url). inline() sends a small function ` +
  `as its source text; the fork context takes any function.`;

/** Accepts URL objects of another realm or package too. */
export function isUrl(value: unknown): value is URL {
  return (
    Object.prototype.toString.call(value) === '[object URL]' &&
    typeof (value as URL).href === 'string'
  );
}

/** Throws a TypeError when the name is malformed or no such module exists. */
export function parseExportName(
  callable: URL | string,
  argument: string,
): ExportName {
  const malformed = (): TypeError =>
    invalidValue(
      argument,
      `a module and an export such as './file.js#name'`,
      String(callable),
    );
  const { module, fragment } = split(callable);
  if (module === '' || fragment === '') throw malformed();
  const path = (fragment ?? 'default').split('.');
  if (path.includes('')) throw malformed();

  const url = urlOf(module, argument, malformed);
  if (url.startsWith('node:') && !Module.isBuiltin(url)) {
    throw codedTypeError(
      'ERR_JOBSERVER_FUNCTION',
      `Expected \`${argument}\` to name a module, but Node has no ${url}`,
    );
  }
  if (!url.startsWith('file:')) return { url, path };
  const file = fileOf(url);
  if (file === undefined) throw malformed();
  const source = sourceFiles(file).find(isFile);
  if (source === file) return { url, path };
  if (source === undefined) {
    throw codedTypeError(
      'ERR_JOBSERVER_FUNCTION',
      `Expected \`${argument}\` to name a module, but there is no file ` +
        `${file}`,
    );
  }
  const { pathname } = pathToFileURL(source);
  return { url: Object.assign(new URL(url), { pathname }).href, path };
}

// TypeScript names a module by the file that it compiles to. Loaders that run
// TypeScript find the source by that name.
export function sourceFiles(file: string): string[] {
  const match = /^(.*)\.(js|mjs|cjs|jsx)$/s.exec(file);
  if (match === null) return [file];
  const [, stem, extension] = match as unknown as [string, string, string];
  const typed = { js: ['ts', 'tsx'], mjs: ['mts'], cjs: ['cts'], jsx: ['tsx'] };
  const others = typed[extension as keyof typeof typed];
  return [file, ...others.map((other) => `${stem}.${other}`)];
}

/** The path of a file: URL; undefined when the URL has none. */
export function fileOf(url: string): string | undefined {
  try {
    return fileURLToPath(url);
  } catch {
    return undefined; // It has another scheme, a host or an encoded slash.
  }
}

/** The URL for messages, shortened if it is a data: URL. */
export function shortUrl(url: string): string {
  return url.startsWith('data:') && url.length > 60
    ? `${url.slice(0, 60)}…`
    : url;
}

export function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function split(callable: URL | string): { module: string; fragment?: string } {
  const text = typeof callable === 'string' ? callable : callable.href;
  const mark = text.lastIndexOf('#');
  if (mark === -1) return { module: text };
  const fragment = text.slice(mark + 1);
  const module = text.slice(0, mark);
  if (isUrlText(text)) return { module, fragment: decode(fragment) };
  // The name of a directory may contain '#'.
  return fragment.includes('/') ? { module: text } : { module, fragment };
}

function isUrlText(text: string): boolean {
  return /^[a-z][a-z0-9+.-]+:/i.test(text);
}

function decode(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment; // It contains a percent sign that escapes nothing.
  }
}

function urlOf(
  module: string,
  argument: string,
  malformed: () => TypeError,
): string {
  if (isUrlText(module)) {
    if (!URL.canParse(module)) throw malformed();
    return new URL(module).href;
  }
  if (isAbsolute(module) || /^\.{1,2}(\/|$)/.test(module)) {
    return pathToFileURL(resolve(module)).href;
  }
  let found: string;
  try {
    found = nodeModule()
      .createRequire(join(process.cwd(), 'noop.js'))
      .resolve(module);
  } catch (error) {
    throw codedTypeError(
      'ERR_JOBSERVER_FUNCTION',
      `Expected \`${argument}\` to name a module, but '${module}' cannot be ` +
        `required from ${process.cwd()}. Name its file by a URL, for ` +
        `example with import.meta.resolve('${module}')`,
      { cause: error },
    );
  }
  if (!Module.isBuiltin(found)) return pathToFileURL(found).href;
  return found.startsWith('node:') ? found : `node:${found}`;
}
