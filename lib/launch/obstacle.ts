// Why a zygote cannot start, so that its jobs have to be spawned.
import { existsSync } from 'node:fs';
import {
  environmentOfJob,
  startupVariablesOf,
} from '../protocol/environment.js';
import { workerState } from '../protocol/worker-state.js';
import { native } from '../system/binding.js';
import { hasHooksThread } from '../system/builtins.js';
import { hooksInThread, mathIsFrozen } from '../system/forkable.js';
import { workerExecArgv } from './exec-argv.js';
import { type ZygoteStart, keysOf, obstacleOf } from './zygote-client.js';

/** Undefined where nothing keeps a zygote from starting. */
export function obstacleTo(
  start: ZygoteStart,
  key = keysOf(start).cold,
): string | undefined {
  if (!hasProc)
    return 'it needs /proc, which is not mounted or may not be read';
  if (!hasPidfds()) return 'this kernel has no pidfd_open';
  const own = ownObstacle();
  return own !== undefined && startsAsThis(start) ? own : obstacleOf(key);
}

/** What a zygote would share that starts with the options of this process. */
function ownObstacle(): string | undefined {
  if (startedFrozen) return mathIsFrozen;
  return startedWithHooks || wasSpawned() ? hooksInThread : undefined;
}

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

const frozen = /(^|[\s=])--frozen[-_]intrinsics(\s|$)/;

const hasOption = (option: RegExp): boolean =>
  [...flags, ...variables].some((text) => option.test(text));

// The zygote would have the thread too, because it starts with these options.
const startedWithHooks = hasHooksThread() && hasOption(loader);
const startedFrozen = Object.isFrozen(Math) && hasOption(frozen);

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
