// Names a function so that another process can import it. The parent names the
// function, and the worker imports it. The source text of a function is compared by
// its fingerprint, and sent only where the user asks for that: see `inline`.
import { fileURLToPath } from 'node:url';
import { codedTypeError, invalidArgument } from '../errors.js';
import { annotate } from '../system/annotate.js';
import { importModule } from './loaded-module.js';
import { resolveFunction, type ResolvedFunction } from './resolve.js';
import {
  checkExported,
  checkExportedNow,
  findName,
  loadOf,
  mayBeRefused,
} from './name.js';
import { nameOf, nodeModule } from './exports.js';
import {
  exportHint,
  isUrl,
  parseExportName,
  shortUrl,
  type FunctionRef,
  type ModuleRef,
} from './url.js';

/**
 * What a job calls: a function, or the `URL#export` of a function, whose type
 * the compiler cannot check. See {@link Jobserver.run}.
 */
export type Callable<A extends unknown[], R> =
  ((...args: A) => R) | URL | string;

export { checkExported, checkExportedNow, mayBeRefused };
export type { FunctionRef };

const names = new WeakMap<Function, FunctionRef>();

/**
 * The name by which another process can import `callable`. `argument` is the
 * name of the argument in messages. Throws a TypeError when `callable` is no
 * function, URL or string, or when certainly no other process can import it.
 */
export function nameFunction(callable: unknown, argument: string): FunctionRef {
  if (typeof callable === 'string' || isUrl(callable)) {
    return nameExport(callable, argument);
  }
  if (typeof callable !== 'function') {
    throw invalidArgument(argument, 'a function, a URL or a string', callable);
  }
  const known = names.get(callable);
  if (known !== undefined) {
    checkExported(known);
    return known;
  }
  const refuse = (why: string, options?: ErrorOptions): TypeError =>
    codedTypeError(
      'ERR_JOBSERVER_FUNCTION',
      `Expected \`${argument}\` to be a function that another process can ` +
        `import, but ${nameOf(callable) || 'it'} ${why}. ${exportHint}`,
      options,
    );
  const ref = findName(callable, refuse);
  names.set(callable, ref);
  return ref;
}

/** Whether `nameFunction` need not search for it. */
export function isNamed(callable: unknown): boolean {
  return typeof callable !== 'function' || names.has(callable);
}

/**
 * Imports the function that `ref` names; called by the worker. Returns a
 * promise only where import() is needed. Fails with what the module threw, or
 * with a TypeError (ERR_JOBSERVER_FUNCTION) when there is no such export.
 */
export function importFunction(ref: FunctionRef): Function | Promise<Function> {
  if (ref.kind === 'text') {
    const fn = inlineModule().compileText(ref);
    names.set(fn, ref);
    return fn;
  }
  if (ref.kind === 'global') return remember(resolveFunction(ref, globalThis));
  if (ref.kind === 'builtin') {
    return remember(resolveFunction(ref, require(ref.module)));
  }
  if (ref.load === 'import') {
    return importModule(ref.url).then(
      (namespace) => remember(resolveFunction(ref, namespace)),
      (error: unknown) => {
        throw explained(error, ref);
      },
    );
  }
  return remember(resolveFunction(ref, requireModule(ref)));
}

/**
 * Makes a small function that no module exports usable as a job: the job compiles its
 * source text. Returns `fn` itself.
 *
 * The function may use its arguments, its own variables and globals, but no variables
 * around it and no imports. In it, `await import()` and `require` load modules, relative
 * to the file that it stands in. It is strict code, and `this` is undefined. For what is
 * more than a few lines, export a function from a module.
 *
 * @example
 * ```js
 * import { Jobserver, inline } from 'jobserver';
 *
 * const jobserver = new Jobserver();
 * const double = inline((n) => n * 2);
 * console.log(await jobserver.run(double, 21));
 * await jobserver.close();
 * ```
 *
 * @typeParam Fn - The type of the function.
 * @param fn - An arrow function, or a function with the word `function`.
 * @throws A TypeError with code ERR_JOBSERVER_FUNCTION when `fn` uses a variable that it
 * would lack in a job, which the message names; for classes, methods, bound and native
 * functions; and for code that a coverage tool has changed.
 */
export function inline<Fn extends (...args: never[]) => unknown>(fn: Fn): Fn {
  names.set(fn, inlineModule().textRefOf(fn));
  return fn;
}

// Most processes need no inline function, and start sooner without it.
function inlineModule(): typeof import('./inline.js') {
  return require('./inline.js') as typeof import('./inline.js');
}

function requireModule(ref: ModuleRef): unknown {
  const file = fileURLToPath(ref.url);
  try {
    return nodeModule().createRequire(file)(file);
  } catch (error) {
    throw explained(error, ref);
  }
}

/**
 * Adds to an error of a module why it was loaded: it may be a program or a test,
 * with a function that it does not export.
 */
function explained(error: unknown, ref: ModuleRef): unknown {
  return annotate(
    error,
    `This was thrown while the module of ${describeFunction(ref)} was ` +
      `loaded for a job, which finds the function among its exports`,
  );
}

/** For messages, traces and diagnostics: "fib (file:///app/jobs.mjs)". */
export function describeFunction(ref: FunctionRef): string {
  if (ref.kind === 'text') return `${ref.name || 'anonymous'} (inline)`;
  if (ref.kind === 'global') return `${ref.path.join('.')} (global)`;
  if (ref.kind === 'builtin') {
    return `${ref.path.join('.') || 'module.exports'} (${ref.module})`;
  }
  const url = shortUrl(ref.url);
  if (ref.kind === 'export') {
    return `${ref.path.join('.') || 'module.exports'} (${url})`;
  }
  const name = ref.paths?.[0]?.join('.') ?? ref.name;
  if (name !== '') return `${name} (${url})`;
  return `anonymous function (${url}:${ref.line + 1}:${ref.column + 1})`;
}

// A job that submits its own function again need not search for its name.
function remember({ fn, ref }: ResolvedFunction): Function {
  if (!names.has(fn)) names.set(fn, ref);
  return fn;
}

function nameExport(callable: URL | string, argument: string): FunctionRef {
  const { url, path } = parseExportName(callable, argument);
  if (url.startsWith('node:')) {
    const isDefault = path.length === 1 && path[0] === 'default';
    const ref: FunctionRef = {
      kind: 'builtin',
      module: url,
      path: isDefault ? [] : path,
    };
    // Throws when the module exports no such function.
    resolveFunction(ref, require(url));
    return ref;
  }
  return { kind: 'export', url, load: loadOf(url), path };
}
