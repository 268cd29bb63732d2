// A function that no module exports, sent as its source text. It has no variables of
// its surroundings in the job, so it may use none.
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import { codedTypeError, invalidArgument } from '../errors.js';
import { mainGlobal } from '../system/main-global.js';
import { nameOf, nodeModule, textOf } from './exports.js';
import {
  type Inspection,
  inspect,
  scopesOf,
  variablesOf,
} from './inspection.js';
import { locate } from './location.js';
import { isClass } from './name.js';
import { type TextRef, fileOf } from './url.js';

/** Throws a TypeError when the text alone is not the function. */
export function textRefOf(fn: unknown): TextRef {
  if (typeof fn !== 'function') {
    throw invalidArgument('fn', 'a function', fn);
  }
  const text = textOf(fn);
  const name = nameOf(fn);
  const refuse = (why: string, options?: ErrorOptions): TypeError =>
    codedTypeError(
      'ERR_JOBSERVER_FUNCTION',
      `An inline function is sent as its source text, but ${name || 'it'} ${why}`,
      options,
    );
  if (text.endsWith('{ [native code] }')) throw refuse('has none');
  if (isClass(fn, text)) {
    throw refuse('is a class, which cannot be called without new');
  }
  try {
    new Script(sourceOf(text));
  } catch (error) {
    throw refuse(
      'is no function on its own. Write it as an arrow function, or with the ' +
        `word function (${(error as Error).message})`,
      { cause: error },
    );
  }
  const words = wordsIn(text);
  if (words.includes('eval')) {
    throw refuse('uses eval, whose code may use any variable');
  }
  const missing = inspect({ fn }, (inspection) => {
    const around = new Set(variablesAround(inspection));
    return freeVariables(text, words).filter(
      (word) =>
        !ofEachModule.has(word) &&
        (around.has(word) || !(word in mainGlobal())),
    );
  });
  if (missing.length > 0) throw refuse(whyMissing(missing, name));
  const { url = '', line = 0 } = locate(fn) ?? {};
  return { kind: 'text', text, name, file: fileOf(url), line };
}

/** In the job: the function, made once. */
export function compileText({ text, file, line }: TextRef): Function {
  let fn = compiled.get(text);
  if (fn === undefined) {
    const Module = nodeModule() as unknown as Modules;
    const path = file ?? join(process.cwd(), 'inline');
    const module = new Module(path);
    module.filename = path;
    module.paths = Module._nodeModulePaths(dirname(path));
    // For stack traces.
    const above = '\n'.repeat(line);
    module._compile(`${above}${sourceOf(text, 'module.exports =')}`, path);
    fn = module.exports as Function;
    if (compiled.size === mostCompiled) compiled.clear();
    compiled.set(text, fn);
  }
  return fn;
}

// A module, rather than a script, because import() finds nothing in a script of
// Node 20.
interface Modules {
  new (id: string): NodeModule & {
    _compile(source: string, path: string): void;
  };
  _nodeModulePaths(folder: string): string[];
}

const compiled = new Map<string, Function>();
const mostCompiled = 64;

/**
 * Modules are strict code. esbuild, and with it tsx, puts calls of __name around the
 * functions in a function.
 */
function sourceOf(
  text: string,
  result = '',
  variables: readonly string[] = [],
): string {
  const own = ['__name = (fn) => fn', ...variables].join();
  return `'use strict';{let ${own};${result}(${text}\n)}`;
}

/** Those that are not declared in the text itself. */
function freeVariables(text: string, words: readonly string[]): string[] {
  // V8 lists the variables of a scope that a function in it uses, and no others.
  const fn = new Script(
    sourceOf(text, '', words),
  ).runInThisContext() as Function;
  const used = inspect({ fn }, (inspection) => {
    const [scope] = scopesOf(inspection);
    const isOwn = scope?.description?.startsWith('Block') === true;
    return isOwn ? variablesOf(inspection, scope) : [];
  });
  return used.filter((name) => name !== '__name');
}

/** All that the function could use, except for the properties of the global object. */
function variablesAround(inspection: Inspection): string[] {
  return scopesOf(inspection)
    .filter(({ description }) => description !== 'Global')
    .flatMap((scope) => variablesOf(inspection, scope));
}

function whyMissing(missing: readonly string[], name: string): string {
  const [first] = missing;
  if (missing.some((each) => /^(cov_|__cov|_\$jscov)/.test(each))) {
    return (
      `has been changed by a coverage tool (${first}). Use a tool that leaves the ` +
      'text as it is, such as c8, or export the function from a module'
    );
  }
  if (missing.some((each) => /^(__|tslib)/.test(each))) {
    return (
      `has been changed by a compiler (${first}). Have it compile for newer ` +
      'versions of JavaScript, or export the function from a module'
    );
  }
  if (missing.includes(name)) {
    return `calls itself by a variable. Write it as: function ${name}() { … }`;
  }
  const [its, arguments_] =
    missing.length === 1
      ? ['its value', 'an argument']
      : ['their values', 'arguments'];
  return (
    `uses ${missing.join(', ')}, which it lacks there. Pass ${its} as ` +
    `${arguments_}, import what a module exports in the function, or export the ` +
    'function from a module'
  );
}

/** All identifiers, and other words that may be the names of variables. */
function wordsIn(text: string): string[] {
  const words = text.match(/[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*/gu);
  return [...new Set(words)].filter((word) => !reserved.has(word));
}

/** Those of CommonJS that are there for the same file. */
const ofEachModule = new Set(['require', '__filename', '__dirname']);

// What strict code cannot declare with let, and the variable of `sourceOf`.
const reserved = new Set(
  (
    'arguments await break case catch class const continue debugger default delete ' +
    'do else enum export extends false finally for function if implements import ' +
    'in instanceof interface let new null package private protected public return ' +
    'static super switch this throw true try typeof var void while with yield ' +
    '__name'
  ).split(' '),
);
