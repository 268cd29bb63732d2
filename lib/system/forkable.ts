// What keeps the forks of a process from running jobs.
import { mathIsFrozen } from '../context.js';
import { hasHooksThread } from './builtins.js';

/** An import in a fork would wait for that thread forever. */
export const hooksInThread =
  'module hooks (--import, --loader) run in a thread, which a fork lacks; ' +
  'hooks made by module.registerHooks need no thread';

/** A zygote reports the index of the one that it has found. */
export const obstaclesToForks = [hooksInThread, mathIsFrozen] as const;

export function obstacleToForks():
  (typeof obstaclesToForks)[number] | undefined {
  if (hasHooksThread()) return hooksInThread;
  return Object.isFrozen(Math) ? mathIsFrozen : undefined;
}
