// What the options `preload`, `warmUp` and `warmUpTimeout` ask of processes.
import { invalidArgument } from '../errors.js';
import {
  type Callable,
  type FunctionRef,
  nameFunction,
} from '../functions/function-ref.js';
import { isUrl, parseExportName } from '../functions/url.js';
import {
  type Preload,
  type PreloadedModule as Packable,
  type Preparation,
  type WarmUp,
  noPreparation,
  packPreload,
} from '../protocol/preparation.js';
import { workerState } from '../protocol/worker-state.js';
import { type OptionNames, checkMs, checkOptions } from '../system/options.js';

/**
 * A module of {@link JobserverOptions.preload} that is given data: its export
 * `setUp(data)` is called after it was imported.
 *
 * @example
 * ```js
 * const module = new URL('./rules.mjs', import.meta.url);
 * new Jobserver({ preload: [{ module, data: { strict: true } }] });
 * ```
 */
export interface PreloadedModule {
  /** As a string or URL in the place of the object. */
  module: string | URL;
  /** Copied when the Jobserver is made, as the arguments of a job are. */
  data?: unknown;
}

// A package of this name is preloaded by its URL.
const auto = 'auto';

const moduleNames: OptionNames<PreloadedModule> = { module: true, data: true };

export interface PreparationOptions {
  readonly preload?:
    'auto' | Iterable<string | URL | PreloadedModule> | undefined;
  readonly warmUp?: Callable<[], unknown> | undefined;
  readonly warmUpTimeout?: number | undefined;
}

/** What is not given is that of the surrounding job. */
export function preparationOf({
  preload: given,
  warmUp,
  warmUpTimeout = 60_000,
}: PreparationOptions): Preparation {
  const timeout = checkMs(warmUpTimeout, 'warmUpTimeout');
  const ambient = workerState.ambient?.preparation ?? noPreparation;
  if (given === undefined && warmUp === undefined) return ambient;
  const preload = given === undefined ? ambient.preload : preloadOf(given);
  if (warmUp === undefined) return { preload, warmUp };
  return { preload, warmUp: warmUpOf(warmUp, preload.urls, timeout) };
}

/** With the modules that are given in the place of others. */
export function changePreload(
  { warmUp }: Preparation,
  given: unknown,
): Preparation {
  const preload = preloadOf(given);
  if (warmUp === undefined) return { preload, warmUp };
  const modules = modulesWith(warmUp.fn, preload.urls);
  return { preload, warmUp: { ...warmUp, modules } };
}

function warmUpOf(
  given: unknown,
  preload: readonly string[],
  timeout: number,
): WarmUp {
  const fn = nameFunction(given, 'warmUp');
  const modules = modulesWith(fn, preload);
  return { fn, modules, timeout: timeout === Infinity ? null : timeout };
}

function modulesWith(
  fn: FunctionRef,
  preload: readonly string[],
): readonly string[] {
  return 'url' in fn ? [...preload, fn.url] : preload;
}

function preloadOf(given: unknown): Preload {
  if (given === auto) return packPreload([], true);
  const all = listOf(given);
  const isAuto = all.includes(auto);
  const modules = all.flatMap((each, i) =>
    each === auto ? [] : [moduleOf(each, `preload[${i}]`)],
  );
  return packPreload(modules, isAuto);
}

function listOf(preload: unknown): unknown[] {
  const expected = `'auto' or an iterable of module URLs, paths or names`;
  if (
    typeof preload !== 'object' ||
    preload === null ||
    !(Symbol.iterator in preload)
  ) {
    throw invalidArgument('preload', expected, preload);
  }
  return [...(preload as Iterable<unknown>)];
}

function moduleOf(given: unknown, name: string): Packable {
  if (typeof given !== 'object' || given === null || isUrl(given)) {
    const expected = 'a URL, a string or an object with a module';
    return { module: urlOf(given, name, expected) };
  }
  const { module, data } = checkOptions(given as PreloadedModule, moduleNames);
  return { module: urlOf(module, `${name}.module`, 'a URL or string'), data };
}

function urlOf(module: unknown, name: string, expected: string): string {
  if (typeof module === 'string' || isUrl(module)) {
    return parseExportName(module, name).url;
  }
  throw invalidArgument(name, expected, module);
}
