// Runs one command to its end for the other scripts, and never for longer than
// it may take: then its whole process group is killed.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

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
