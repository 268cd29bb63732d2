// Why a zygote cannot start, so that its jobs have to be spawned.
import { existsSync } from 'node:fs';
import {
  environmentOfJob,
  startupVariablesOf,
} from '../protocol/environment.js';
import { workerState } from '../protocol/worker-state.js';
import { native } from '../system/binding.js';
import { hasHooksThread } from '../system/builtins.js';
import { workerExecArgv } from './exec-argv.js';
import { type ZygoteStart, keyOf, obstacleOf } from './zygote-client.js';

/** Undefined where nothing keeps a zygote from starting. */
export function obstacleTo(
  start: ZygoteStart,
  key = keyOf(start),
): string | undefined {
  if (!hasProc) return 'it needs /proc, which is not mounted';
  if (!hasPidfds()) return 'this kernel has no pidfd_open';
  const isHooked = startedWithHooks || wasSpawned();
  return isHooked && startsAsThis(start) ? hooksInThread : obstacleOf(key);
}

/** A fork would wait for that thread forever. */
export const hooksInThread =
  'module hooks (--import, --loader) run in a thread, which a fork lacks; ' +
  'hooks made by module.registerHooks need no thread';

const hasProc = existsSync('/proc/self/task');

let pidfds: boolean | undefined;

/** Jobs are children of the zygote: a submitter watches them by pidfds. */
function hasPidfds(): boolean {
  if (pidfds === undefined) {
    const fd = native.exitFd(process.pid);
    pidfds = fd >= 0;
    if (pidfds) native.close(fd);
  }
  return pidfds;
}

const flags = workerExecArgv(process.execArgv);
const variables = startupVariablesOf(environmentOfJob(new Map()));
const loader =
  /(^|[\s=])(-r|--require|--import|--(experimental-)?loader)([\s=]|$)/;

// The zygote would have the thread too, because it starts with these options.
const startedWithHooks =
  hasHooksThread() &&
  [...flags, ...variables].some((text) => loader.test(text));

/** Whether the zygote would start with the options of this process. */
function startsAsThis({ execArgv, env }: ZygoteStart): boolean {
  return (
    String(execArgv) === String(flags) &&
    String(startupVariablesOf(env)) === String(variables)
  );
}

/** Whether this process is a job that was spawned because of an obstacle. */
function wasSpawned(): boolean {
  const { ambient } = workerState;
  return ambient?.context === 'forkserver' && ambient.forkserverFd < 0;
}
