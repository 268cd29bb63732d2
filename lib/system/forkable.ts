// What keeps the forks of a process from running jobs.
import { mathIsFrozen } from '../context.js';
import { hasHooksThread } from './builtins.js';

/** An import in a fork would wait for that thread forever. */
export const hooksInThread =
  'module hooks (--import, --loader) run in a thread, which a fork lacks; ' +
  'hooks made by module.registerHooks need no thread';

/** A fork would wait forever for a lock that the thread holds. */
export const threadStaysBusy = 'a thread of its process stays busy';

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
