// What a forked process changes so that it behaves like a new process.
import { constants, readlinkSync } from 'node:fs';
import { devNull } from 'node:os';
import { native } from '../system/binding.js';
import { builtin } from '../system/builtins.js';
import { mainGlobal } from '../system/main-global.js';
import { workerState } from '../protocol/worker-state.js';

/** Node keeps the pid that the process had before the fork. */
export function setPid(): void {
  Object.defineProperty(process, 'pid', {
    value: native.getpid(),
    enumerable: true,
    configurable: true,
    writable: false,
  });
}

// eslint-disable-next-line @typescript-eslint/unbound-method -- it uses no `this`
const nodeUptime = process.uptime;
// In seconds, by the clock of `nodeUptime`.
let beganAt = 0;
let isReplaced = false;

/** From now on, `process.uptime` counts from this call, and not from before a fork. */
export function restartUptime(): void {
  beganAt = nodeUptime();
  // Once, because a preloaded module may wrap it.
  if (isReplaced) return;
  isReplaced = true;
  // Of both, as with the exit below.
  for (const each of [process, mainGlobal()['process']]) {
    (each as NodeJS.Process).uptime = uptime;
  }
}

function uptime(): number {
  return nodeUptime() - beganAt;
}

interface Internals {
  reallyExit(code?: number): never;
}

/** Replaces Node's exit, which waits for threads that only the parent has. */
export function exitWithoutThreads(): void {
  // A test runner may give its tests another `process`, whose exit calls that
  // of Node's own.
  for (const each of [process, mainGlobal()['process']]) {
    (each as Internals).reallyExit = (code) => exitNow((code ?? 0) | 0);
  }
  workerState.isForked = true;
}

const wantsCoverage = process.env['NODE_V8_COVERAGE'] !== undefined;

/** Never returns or throws: the stack below is the parent's. */
export const exitNow: (code: number) => never = wantsCoverage
  ? exitCovered
  : native.exitNow;

// Node writes the coverage in its own exit.
function exitCovered(code: number): never {
  try {
    builtin('node:v8').takeCoverage();
  } finally {
    native.exitNow(code);
  }
}

/** Replaces standard input, which only the parent may read. */
export function dropInput(): void {
  native.close(0);
  // Gets the lowest free number, which is 0.
  native.open(devNull, constants.O_RDONLY);
  native.setCloseOnExec(0, false);
}

/**
 * Enters the working directory of the submitter. One that has been removed can
 * be entered only through a process that is in it.
 */
export function changeDirectory(cwd: string, submitter: number): void {
  try {
    process.chdir(cwd);
  } catch (error) {
    const link = `/proc/${submitter}/cwd`;
    if (!isRemoved(cwd, link)) throw error;
    process.chdir(link);
  }
}

function isRemoved(cwd: string, link: string): boolean {
  try {
    const target = readlinkSync(link);
    return cwd === '' || target === `${cwd} (deleted)`;
  } catch {
    return false;
  }
}

/** Changes the environment of this process from `present` to `env`. */
export function changeEnvironment(
  present: ReadonlyMap<string, string | undefined>,
  env: readonly string[],
): void {
  const surplus = new Set(present.keys());
  for (const variable of env) {
    const end = variable.indexOf('=');
    const name = variable.slice(0, end);
    const value = variable.slice(end + 1);
    surplus.delete(name);
    if (present.get(name) !== value) process.env[name] = value;
  }
  for (const name of surplus) delete process.env[name];
}
