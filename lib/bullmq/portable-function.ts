// The name of a function on another machine: its file relative to `root`, and what
// the text of that file hashes to.
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { codedTypeError } from '../errors.js';
import {
  type FunctionRef,
  describeFunction,
  nameFunction,
} from '../functions/function-ref.js';
import { type ModuleRef, fileOf, isFile } from '../functions/url.js';
import { realWayInside } from './inside.js';

/** Plain data. */
export interface PortableFunction {
  /** Relative to `root`, with '/'. */
  readonly file: string;
  /** The query of the URL, with '?'; ''. */
  readonly query: string;
  /** Of the text of the file. */
  readonly hash: string;
  /** The name in the module; its `url` is ''. */
  readonly ref: ModuleRef;
}

function refused(message: string): TypeError {
  return codedTypeError('ERR_JOBSERVER_FUNCTION', message);
}

/** Throws for a function that a host would refuse. */
export function portableOf(fn: unknown, root: string): PortableFunction {
  const ref = nameFunction(fn, 'fn');
  const refuse = (why: string): TypeError =>
    refused(
      `Expected \`fn\` to be a function of a file in \`root\` (${root}), because ` +
        `a host finds it there, but ${describeFunction(ref)} ${why}`,
    );
  if (ref.kind === 'text') throw refuse('is sent as its source text');
  if (ref.kind === 'global') throw refuse('is a global');
  if (ref.kind === 'builtin') throw refuse('belongs to Node');
  const file = fileOf(ref.url.replace(/[?#].*$/s, ''));
  if (file === undefined) throw refuse('is in no file');
  const inside = fileInside(root, file);
  if (inside === undefined) throw refuse('is outside of it');
  const query = new URL(ref.url).search;
  const hash = hashOfFile(join(root, inside));
  return {
    file: inside.split(sep).join('/'),
    query,
    hash,
    ref: { ...ref, url: '' },
  };
}

/** For messages: 'square (jobs.mjs)'. */
export function describePortable({ file, ref }: PortableFunction): string {
  const path = ref.kind === 'export' ? ref.path : (ref.paths?.[0] ?? []);
  const name = path.join('.') || (ref.kind === 'place' ? ref.name : '');
  return `${name || 'module.exports'} (${file})`;
}

/**
 * The name here. Throws an error that names `host`, this host. Anybody may have written
 * the parameter, where nothing is signed.
 */
export function localRefOf(
  { file, query, hash, ref }: PortableFunction,
  root: string,
  host: string,
): FunctionRef {
  const isOfFile = ['export', 'place'].includes(ref.kind);
  if (!isOfFile || !/^(\?|$)/.test(query)) {
    throw refused(`Host ${host} runs only functions of files in its \`root\``);
  }
  const inside = fileInside(root, join(root, file));
  if (inside === undefined) {
    throw refused(`Host ${host} has no file ${file} in its \`root\``);
  }
  const path = join(root, inside);
  const own = hashOfFile(path);
  if (own !== hash) {
    throw refused(
      `Host ${host} has another version of ${file}: SHA-256 ${short(own)} instead ` +
        `of ${short(hash)}. Give executors and hosts the commit as \`version\`, so ` +
        'that those of different versions do not meet',
    );
  }
  return { ...ref, url: `${pathToFileURL(path).href}${query}` };
}

/** Relative to `root`, without symbolic links; undefined where it is no file in it. */
function fileInside(root: string, file: string): string | undefined {
  const way = realWayInside(root, file);
  return way !== undefined && isFile(join(root, way)) ? way : undefined;
}

interface KnownFile {
  readonly state: string;
  readonly hash: string;
}

const knownFiles = new Map<string, KnownFile>();
const mostKnown = 10_000;

function hashOfFile(path: string): string {
  const { mtimeNs, size, ino } = statSync(path, { bigint: true });
  const state = `${mtimeNs} ${size} ${ino}`;
  const known = knownFiles.get(path);
  if (known?.state === state) return known.hash;
  const hash = createHash('sha256').update(readFileSync(path)).digest('hex');
  if (knownFiles.size >= mostKnown) knownFiles.clear();
  knownFiles.set(path, { state, hash });
  return hash;
}

function short(hash: string): string {
  return `${hash.slice(0, 12)}…`;
}
