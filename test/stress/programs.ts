// Programs that need a process of their own, for limits or signals.
import { spawn, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { timeoutFactor } from '../helpers/until.js';

/** The timeout of tests that keep all processors of a shared machine busy. */
export const longMs = 240_000 * timeoutFactor;

export interface Limits {
  readonly openFiles?: number;
  readonly user?: number;
}

/** Returns the JSON that a node program prints. Kills a program that hangs. */
export function runProgram(
  args: readonly string[],
  { openFiles, user }: Limits,
  limitMs = 120_000,
): Promise<unknown> {
  const limit = openFiles === undefined ? '' : `ulimit -n ${openFiles} && `;
  const node = [process.execPath, ...process.execArgv, ...args];
  const shell = ['-c', `${limit}exec "$0" "$@"`, ...node];
  return new Promise((succeed, fail) => {
    const child = spawn('/bin/sh', shell, {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(user === undefined ? {} : { uid: user }),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    const watchdog = setTimeout(() => {
      child.kill('SIGKILL');
      fail(new Error(`${args.join(' ')} hung\n${stdout}\n${stderr}`));
    }, limitMs * timeoutFactor);
    child.on('error', fail);
    child.on('close', (code, signal) => {
      clearTimeout(watchdog);
      if (code === 0 && stderr === '') succeed(JSON.parse(stdout));
      else fail(new Error(`${args.join(' ')}: ${code ?? signal}\n${stderr}`));
    });
  });
}

const nobodyUid = 65534;

/** The user that a limit on processes applies to, or why there is no test. */
export function processLimit(): { reason?: string; user?: number } {
  if (process.platform !== 'linux')
    return { reason: 'prlimit exists on Linux only' };
  if (spawnSync('prlimit', ['--version']).status !== 0) {
    return { reason: 'prlimit is not installed' };
  }
  if (process.getuid!() !== 0) return {};
  // The superuser has no such limit.
  const script = `require(${JSON.stringify(resolve('dist'))})`;
  const { status } = spawnSync(process.execPath, ['-e', script], {
    uid: nobodyUid,
  });
  if (status !== 0) return { reason: 'another user cannot load the package' };
  return { user: nobodyUid };
}
