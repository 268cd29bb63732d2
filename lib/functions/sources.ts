// Notices when a file has changed on disk from which the code of jobs was loaded.
// The text of each module is searched for the names of the modules that it
// imports, because Node does not say which files it has loaded.
import Module from 'node:module';
import { readFileSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { now } from '../system/deadline.js';
import { trace } from '../system/trace.js';
import { hashOf, nodeModule } from './exports.js';
import { type FunctionRef, fileOf, isFile, sourceFiles } from './url.js';

// The files are looked at no more often than this, and so seldom that it takes
// at most a fiftieth of the time.
const restMs = 10;
const restPerMs = 50;

// The library does not change while it runs.
const ownFolder = join(__dirname, '..') + sep;

const importOf =
  /\b(?:from|import|require(?:\.resolve)?)\s*\(?\s*(['"])([^'"\n]+)\1/g;

interface Source {
  readonly state: string;
  readonly imports: readonly string[];
}

/** By path. */
const sources = new Map<string, Source>();
let changes = 0;
let nextCheckAt = -Infinity;

/** Looks at their modules from now on, and at all that these import. */
export function followFunctions(
  functions: readonly (FunctionRef | undefined)[],
): void {
  for (const fn of functions) {
    if (fn !== undefined && 'url' in fn) follow(fn.url);
  }
}

export function followModules(urls: readonly string[]): void {
  urls.forEach(follow);
}

function follow(url: string): void {
  const file = fileOf(url);
  if (file !== undefined && !sources.has(file)) add(file);
}

/** How often files have changed since they were first looked at. */
export function changesOfModules(): number {
  if (now() >= nextCheckAt) lookForChanges();
  return changes;
}

const versions = new WeakMap<
  readonly string[],
  { readonly changes: number; readonly version: string }
>();

/** A text that differs when a file of the modules differs. */
export function versionOf(urls: readonly string[]): string {
  if (urls.length === 0) return '';
  const present = changesOfModules();
  followModules(urls);
  let known = versions.get(urls);
  if (known?.changes !== present) {
    const states = [...filesOf(urls)].map((file) => sources.get(file)!.state);
    known = { changes: present, version: hashOf(states.join()) };
    versions.set(urls, known);
  }
  return known.version;
}

function filesOf(urls: readonly string[]): Set<string> {
  const found = new Set<string>();
  for (const url of urls) {
    const file = fileOf(url);
    if (file !== undefined) found.add(file);
  }
  // A set gives what is added while it is read.
  for (const file of found) {
    for (const other of sources.get(file)!.imports) found.add(other);
  }
  return found;
}

function lookForChanges(): void {
  const began = now();
  const changed: string[] = [];
  for (const [file, { state }] of sources) {
    if (stateOf(file) === state) continue;
    trace('%s has changed', file);
    changed.push(file);
  }
  if (changed.length === 0) {
    const ended = now();
    nextCheckAt = ended + Math.max(restMs, restPerMs * (ended - began));
    return;
  }
  // What has just changed may change again at once: no rest.
  changes += 1;
  for (const file of changed) sources.delete(file);
  changed.forEach(add);
}

function add(file: string): void {
  const files = [file];
  for (const each of files) {
    if (sources.has(each)) continue;
    // First, so that a change after it is seen.
    const state = stateOf(each);
    const imports = importsOf(each);
    sources.set(each, { state, imports });
    for (const other of imports) files.push(other);
  }
}

function stateOf(file: string): string {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return '';
  // Of the two times, a tool may set the first, and some file systems lack the
  // second.
  const { mtimeMs, ctimeMs, size, ino } = stats;
  return `${mtimeMs} ${ctimeMs} ${size} ${ino}`;
}

/** The files that the text of a file names; none for those of packages. */
function importsOf(file: string): string[] {
  if (file.includes(`${sep}node_modules${sep}`)) return [];
  if (!/\.[cm]?[jt]sx?$/.test(file)) return [];
  const named = new Set<string>();
  for (const [, , specifier] of textOf(file).matchAll(importOf)) {
    const found = resolve(specifier!, file);
    if (found?.startsWith(ownFolder) === false) named.add(found);
  }
  return [...named];
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // Its import fails in the job, which says why.
  }
}

/** Undefined for what is no file, or what only import() finds. */
function resolve(specifier: string, from: string): string | undefined {
  if (Module.isBuiltin(specifier)) return undefined;
  if (/^(\.{0,2}\/|file:)/.test(specifier)) {
    const base = pathToFileURL(from).href;
    const url = URL.canParse(specifier, base) ? new URL(specifier, base) : base;
    const file = fileOf(String(url));
    const found = file && sourceFiles(file).find(isFile);
    if (found !== undefined) return found;
  }
  try {
    return nodeModule().createRequire(from).resolve(specifier);
  } catch {
    return undefined;
  }
}
