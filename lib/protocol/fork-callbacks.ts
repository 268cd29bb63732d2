// What forks do before their jobs, because modules that were loaded before have asked
// for it. All copies of this package in a thread share the list.
import { invalidArgument } from '../errors.js';
import { annotate } from '../system/annotate.js';
import { mainValue } from '../system/main-global.js';
import { workerState } from './worker-state.js';

type ForkCallback = () => unknown;

const callbacks = mainValue<ForkCallback[]>('jobserver.forkCallbacks', '[]');

/**
 * Has `callback` called in each process that is forked from this one, before its job,
 * or before its first one where it runs several: after the environment and the
 * working directory are those of the job, before `preexec`. What a process must not
 * share with others that were forked from the same memory is made anew there. Meant
 * for modules of `preload`; in a spawned job, which imports these itself, it is called
 * after that. Callbacks are called in the order of their registration, and each is
 * awaited; in the `fork` context it must not return a promise. The job fails with what
 * one throws.
 *
 * In a job that runs, the call has no effect.
 *
 * @example
 * ```js
 * import { randomUUID } from 'node:crypto';
 * import { afterFork } from 'jobserver';
 *
 * export let id = randomUUID(); // The same in all forks,
 * afterFork(() => {
 *   id = randomUUID(); // but for this.
 * });
 * ```
 *
 * @throws TypeError when callback is not a function.
 */
export function afterFork(callback: () => unknown): void {
  if (typeof callback !== 'function') {
    throw invalidArgument('callback', 'a function', callback);
  }
  // Nobody forks a process for a job while that has one.
  const { ambient, isImporting } = workerState;
  if (ambient === undefined || isImporting) callbacks.push(callback);
}

/** Undefined where there is nothing to call. */
export function forkSteps(): (() => Promise<void>) | undefined {
  return callbacks.length === 0 ? undefined : callAll;
}

async function callAll(): Promise<void> {
  for (const callback of callbacks) {
    try {
      await callback();
    } catch (error) {
      throw explained(error);
    }
  }
}

/** `check` throws when a callback has returned a promise. */
export function callAllSync(
  check: (value: unknown, who: string) => void,
): void {
  for (const callback of callbacks) {
    try {
      check(callback(), 'A callback of afterFork');
    } catch (error) {
      throw explained(error);
    }
  }
}

function explained(error: unknown): unknown {
  return annotate(error, 'This was thrown by a callback of afterFork');
}
