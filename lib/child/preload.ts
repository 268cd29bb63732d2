// Imports the modules of `preload`, one after another, and calls their `setUp`: in the
// zygote, or in a spawned process before its first job.
import { codedError } from '../errors.js';
import { importModule } from '../functions/loaded-module.js';
import { resolveFunction } from '../functions/resolve.js';
import { shortUrl } from '../functions/url.js';
import { forkSteps } from '../protocol/fork-callbacks.js';
import { type PreloadedModule, modulesIn } from '../protocol/preparation.js';
import { workerState } from '../protocol/worker-state.js';
import { annotate } from '../system/annotate.js';
import { native } from '../system/binding.js';
import type { Encoded } from '../wire/value.js';
import { present, startPool, unlessLoopEnds, whatIsLeft } from './fitness.js';

interface Limits {
  /** For an import, or a `setUp`, to settle. */
  readonly settleMs: number;
  /**
   * For what it leaves to end; fetch keeps a connection for 4 s. Undefined where the
   * process will not be forked, so that it may leave anything.
   */
  readonly restMs: number | undefined;
}

const ofZygote: Limits = { settleMs: 60_000, restMs: 8_000 };
const ofSpawned: Limits = { ...ofZygote, restMs: undefined };

/**
 * `packed`: see `Preload`. Rejects with what a module or its `setUp` throws, and with
 * ERR_JOBSERVER_PRELOAD for the first that never settles or that leaves a thread or a
 * handle.
 */
export async function preloadModules(
  packed: Encoded,
  limits = ofZygote,
): Promise<void> {
  workerState.isImporting = true;
  try {
    if (limits.restMs !== undefined) await startPool();
    for (const each of modulesIn(packed)) await preloadModule(each, limits);
  } finally {
    workerState.isImporting = false;
  }
}

/**
 * Imports modules that jobs have used. `onNext` is called with the index of each
 * before it. Rejects as above.
 */
export async function preloadLearned(
  urls: readonly string[],
  onNext: (i: number) => void,
): Promise<void> {
  workerState.isImporting = true;
  try {
    await startPool();
    for (const [i, module] of urls.entries()) {
      onNext(i);
      // For one that blocks.
      native.endAfter(2 * ofZygote.settleMs);
      await preloadModule({ module }, ofZygote);
    }
  } finally {
    native.endAfter(0);
    workerState.isImporting = false;
  }
}

/** In a spawned process, in the place of the zygote and of the fork. */
export async function preloadAlone(packed: Encoded): Promise<void> {
  await preloadModules(packed, ofSpawned);
  await forkSteps()?.();
}

async function preloadModule(
  each: PreloadedModule,
  limits: Limits,
): Promise<void> {
  const url = each.module;
  const name = shortUrl(url);
  const importing = {
    who: `The preloaded module ${name}`,
    waits: 'waits at its top level for a promise',
  };
  let namespace: unknown;
  await step(importing, limits, async () => {
    namespace = await importModule(url);
  });
  if (!('data' in each)) return;
  const path = ['setUp'];
  const ref = { kind: 'export', url, load: 'import', path } as const;
  const { fn } = resolveFunction(ref, namespace);
  const settingUp = {
    who: `setUp of the preloaded module ${name}`,
    waits: 'waits for a promise',
  };
  await step(settingUp, limits, async () => {
    try {
      await Reflect.apply(fn, undefined, [each.data]);
    } catch (error) {
      throw annotate(
        error,
        `This was thrown by setUp of the preloaded module ${name}`,
      );
    }
  });
}

/** Part of the messages about what it does. */
interface Doer {
  readonly who: string;
  readonly waits: string;
}

async function step(
  { who, waits }: Doer,
  { settleMs, restMs }: Limits,
  work: () => Promise<void>,
): Promise<void> {
  const before = restMs === undefined ? undefined : present();
  const end = await unlessLoopEnds(work(), settleMs);
  const reason =
    end === undefined
      ? before && (await whatIsLeft(before, restMs!))
      : `${waits} that ${whyUnsettled(end, settleMs)}. Wait for it in the ` +
        'function of the job';
  if (reason === undefined) return;
  throw codedError('ERR_JOBSERVER_PRELOAD', `${who} ${reason}`);
}

function whyUnsettled(end: unknown, ms: number): string {
  return end === 'late'
    ? `has not settled within ${ms / 1000} s`
    : 'never settles, because nothing is left that could settle it';
}
