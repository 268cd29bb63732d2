// What keeps the forks of a process from running jobs.
import { codedError } from '../errors.js';
import { native } from './binding.js';
import { hasHooksThread } from './builtins.js';

/** An import in a fork would wait for that thread forever. */
export const hooksInThread =
  'module hooks (--import, --loader) run in a thread, which a fork lacks; ' +
  'hooks made by module.registerHooks need no thread';

/** A fork would wait forever for a lock that the thread holds. */
export const threadStaysBusy = 'a thread of its process stays busy';

/** Forks replace Math.random, see child/random. */
export const mathIsFrozen =
  'Math is frozen (--frozen-intrinsics), so that Math.random would return ' +
  'the same numbers in all forks';

/** A zygote reports the index of the one that it has found. */
export const obstaclesToForks = [
  hooksInThread,
  mathIsFrozen,
  threadStaysBusy,
] as const;

export type ObstacleToForks = (typeof obstaclesToForks)[number];

export function obstacleToForks(): ObstacleToForks | undefined {
  if (hasHooksThread()) return hooksInThread;
  return Object.isFrozen(Math) ? mathIsFrozen : undefined;
}

/**
 * Throws when a fork of this process could not run JavaScript. `isForked`: the
 * process is itself a fork of a process without threads.
 */
export function checkForkable(isForked: boolean): void {
  if (process.platform !== 'linux') {
    throw forkError(`${process.platform} cannot fork a node process`);
  }
  if (!native.isMainThread) throw forkError('this is a worker thread');
  if (isForked) return;
  if (Object.isFrozen(Math)) throw forkError(mathIsFrozen);
  if (hasThreadlessFlags()) return;
  throw forkError(
    'this process has threads that a fork would lack. Start it with ' +
      '`node --single-threaded --v8-pool-size=1`',
  );
}

export function forkError(why: string): Error {
  return codedError(
    'ERR_JOBSERVER_FORK',
    `The fork context is not possible: ${why}`,
  );
}

function hasThreadlessFlags(): boolean {
  const flags = process.execArgv.map((flag) => flag.replaceAll('_', '-'));
  return (
    flags.includes('--single-threaded') && flags.includes('--v8-pool-size=1')
  );
}
