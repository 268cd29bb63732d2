// What a forked process has to change in itself to pass for a process of its
// own.
import { openSync } from 'node:fs';
import { devNull } from 'node:os';
import { takeCoverage } from 'node:v8';
import { native } from '../system/binding.js';
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

/** Node's own way to exit waits for threads that only the parent has. */
export function leaveThroughKernel(): void {
  const ways = process as unknown as { reallyExit(code?: number): never };
  ways.reallyExit = (code) => exitNow((code ?? 0) | 0);
  workerState.isForked = true;
}

const wantsCoverage = process.env['NODE_V8_COVERAGE'] !== undefined;

/** Whatever goes wrong: what called a fork's job is the stack of its parent. */
export const exitNow: (code: number) => never = wantsCoverage
  ? exitCovered
  : native.exitNow;

// Node would have written it on its way out.
function exitCovered(code: number): never {
  try {
    takeCoverage();
  } finally {
    native.exitNow(code);
  }
}

/** A job reads nothing of what its parent may still want to read. */
export function dropInput(): void {
  native.close(0);
  openSync(devNull, 'r'); // Takes the lowest number that is free.
  native.setCloseOnExec(0, false);
}

/** From the environment `present`, which this process has, to another. */
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
