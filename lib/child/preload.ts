// Imports the modules of `preload` in the zygote, one after another.
import { codedError } from '../errors.js';
import { importModule } from '../functions/loaded-module.js';
import { shortUrl } from '../functions/url.js';
import { present, startPool, unlessLoopEnds, whatIsLeft } from './fitness.js';

interface Limits {
  /** For the import to settle. */
  readonly importMs: number;
  /** For what the module leaves to end; fetch keeps a connection for 4 s. */
  readonly restMs: number;
}

const defaultLimits: Limits = { importMs: 60_000, restMs: 8_000 };

/**
 * Rejects with what a module throws, and with ERR_JOBSERVER_PRELOAD for the
 * first module that never settles or that leaves a thread or a handle.
 */
export async function preloadModules(
  urls: readonly string[],
  limits = defaultLimits,
): Promise<void> {
  await startPool();
  for (const url of urls) {
    const reason = await preloadModule(url, limits);
    if (reason === undefined) continue;
    throw codedError(
      'ERR_JOBSERVER_PRELOAD',
      `The preloaded module ${shortUrl(url)} ${reason}`,
    );
  }
}

/** Returns why the module cannot be preloaded, if so. */
async function preloadModule(
  url: string,
  { importMs, restMs }: Limits,
): Promise<string | undefined> {
  const before = present();
  const end = await unlessLoopEnds(importModule(url), importMs);
  if (end === 'empty' || end === 'late') {
    const why =
      end === 'late'
        ? `has not settled within ${importMs / 1000} s`
        : 'never settles, because nothing is left that could settle it';
    return (
      `waits at its top level for a promise that ${why}. Wait for it in the ` +
      'function of the job'
    );
  }
  return whatIsLeft(before, restMs);
}
