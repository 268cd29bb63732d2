// What the options `preload`, `warmUp` and `warmUpTimeout` ask of a zygote.
import { invalidArgument } from '../errors.js';
import { type Callable, nameFunction } from '../functions/function-ref.js';
import { isUrl, parseExportName } from '../functions/url.js';
import {
  type Preparation,
  type WarmUp,
  noPreparation,
} from '../protocol/preparation.js';
import { workerState } from '../protocol/worker-state.js';
import { checkMs } from '../system/options.js';

export interface PreparationOptions {
  readonly preload?: Iterable<string | URL> | undefined;
  readonly warmUp?: Callable<[], unknown> | undefined;
  readonly warmUpTimeout?: number | undefined;
}

/** What is not given is that of the surrounding job. */
export function preparationOf({
  preload,
  warmUp,
  warmUpTimeout = 60_000,
}: PreparationOptions): Preparation {
  const timeout = checkMs(warmUpTimeout, 'warmUpTimeout');
  const ambient = workerState.ambient?.preparation ?? noPreparation;
  if (preload === undefined && warmUp === undefined) return ambient;
  const modules = preload === undefined ? ambient.preload : urlsOf(preload);
  if (warmUp === undefined) return { preload: modules, warmUp };
  return { preload: modules, warmUp: warmUpOf(warmUp, modules, timeout) };
}

function warmUpOf(
  given: unknown,
  preload: readonly string[],
  timeout: number,
): WarmUp {
  const fn = nameFunction(given, 'warmUp');
  const modules = 'url' in fn ? [...preload, fn.url] : preload;
  return { fn, modules, timeout: timeout === Infinity ? null : timeout };
}

function urlsOf(preload: unknown): string[] {
  const expected = 'an iterable of module URLs, paths or names';
  if (
    typeof preload !== 'object' ||
    preload === null ||
    !(Symbol.iterator in preload)
  ) {
    throw invalidArgument('preload', expected, preload);
  }
  return [...(preload as Iterable<unknown>)].map((module, i) => {
    if (typeof module === 'string' || isUrl(module)) {
      return parseExportName(module, `preload[${i}]`).url;
    }
    throw invalidArgument(`preload[${i}]`, 'a URL or string', module);
  });
}
