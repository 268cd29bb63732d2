// What a zygote does before it forks for a job. Jobs of equal preparation share a
// zygote.
import type { FunctionRef } from '../functions/function-ref.js';

export interface Preparation {
  /** URLs of the modules that it imports, in this order. */
  readonly preload: readonly string[];
  /** What it runs after that, until it takes no less time. */
  readonly warmUp: WarmUp | undefined;
}

export interface WarmUp {
  readonly fn: FunctionRef;
  /** The URLs of `preload`, and that of the module of `fn`. */
  readonly modules: readonly string[];
  /** Milliseconds. null: Infinity, for which JSON has no number. */
  readonly timeout: number | null;
}

/** Whose code is in the zygote, and in its forks. */
export function modulesOf({ preload, warmUp }: Preparation): readonly string[] {
  return warmUp?.modules ?? preload;
}

export const noPreparation: Preparation = { preload: [], warmUp: undefined };
