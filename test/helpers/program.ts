import { spawn } from 'node:child_process';
import { timeoutFactor } from './until.js';

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Options {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  limitMs?: number;
}

/** Runs node until it exits; a program that hangs is killed and fails. */
export function runNode(
  args: readonly string[],
  options: Options = {},
): Promise<Ended> {
  return runProgram(process.execPath, args, options);
}

/** Like `runNode`, for any program. */
export function runProgram(
  file: string,
  args: readonly string[],
  options: Options = {},
): Promise<Ended> {
  const { env = process.env, cwd, limitMs = 30_000 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      env,
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    const watchdog = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${args.join(' ')} hung\n${stdout}\n${stderr}`));
    }, limitMs * timeoutFactor);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(watchdog);
      resolve({ code, signal, stdout, stderr });
    });
  });
}
