// Runs commands, and steps made of them, for the other scripts. A command takes
// no longer than it may: then its whole process group is killed.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');

const groups = new Set();

/**
 * Resolves when the command has ended and nobody holds its output any more.
 * With `inherit` the output goes to the terminal and `output` stays empty.
 */
export function run(command, args, options) {
  const { cwd, env = process.env, timeoutMs, inherit = false } = options;
  return new Promise((settle) => {
    const output = { stdout: '', all: '' };
    let hasExited = false;
    let overdue;
    // Its own process group, so that what it has started ends with it.
    const child = spawn(command, args, {
      cwd,
      env,
      detached: true,
      stdio: ['ignore', ...Array(2).fill(inherit ? 'inherit' : 'pipe')],
    });
    if (child.pid !== undefined) groups.add(child.pid);
    const watchdog = setTimeout(() => {
      const limit = `after ${timeoutMs / 1000} s`;
      overdue = hasExited
        ? `its output was still held by another process ${limit}`
        : `still running ${limit}`;
      killGroup(child.pid);
    }, timeoutMs);

    child.stdout?.setEncoding('utf8').on('data', (text) => {
      output.stdout += text;
      output.all += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      output.all += text;
    });
    child.on('exit', () => {
      hasExited = true;
    });
    child.on('error', (error) => settled(`cannot start: ${error.message}`));
    child.on('close', (code, signal) => {
      if (overdue !== undefined) settled(overdue);
      else if (signal !== null) settled(`killed by ${signal}`);
      else settled(code === 0 ? undefined : `exit code ${code}`);
    });

    function settled(failure) {
      clearTimeout(watchdog);
      groups.delete(child.pid);
      settle({ ok: failure === undefined, failure, output });
    }
  });
}

/** What it printed, as `{ stdout, all }`; its failure is an error. */
export async function command(file, args, options = {}) {
  const { cwd = root, env = process.env, minutes = 2 } = options;
  const timeoutMs = minutes * 60_000;
  const { failure, output } = await run(file, args, { cwd, env, timeoutMs });
  if (failure === undefined) return output;
  throw new Error(`${failure}\n${output.all.replace(/^(?=.)/gm, '  ')}`);
}

/**
 * Runs each step, or the chosen one, those after a failed one too. A step throws
 * when it fails; what it returns is told.
 */
export async function runSteps(steps, chosen) {
  for (const [name, work] of Object.entries(steps)) {
    if (chosen !== undefined && name !== chosen) continue;
    const start = performance.now();
    try {
      const told = await work();
      const news = told === undefined ? '' : `: ${told}`;
      console.log(`ok ${name}${news} (${seconds(start)})`);
    } catch (error) {
      console.log(`FAILED ${name}: ${error.message}`);
      process.exitCode = 1;
    }
  }
}

/** Lets an interrupted script take its commands with it, then clean up. */
export function endWithCommands(cleanUp = () => undefined) {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => {
      for (const pid of groups) killGroup(pid);
      cleanUp();
      process.exit(128 + constants.signals[signal]);
    });
  }
}

function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // ESRCH: all of the group has ended by itself.
    if (error.code !== 'ESRCH') throw error;
  }
}

export function seconds(sinceMs) {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;
}
