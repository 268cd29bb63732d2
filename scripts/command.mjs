// What the other scripts share: they read their command line, run commands and
// run steps made of commands. A command that exceeds its time limit is killed
// with its whole process group.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');

const help = { help: { type: 'boolean', short: 'h' } };
const groups = new Set();

/**
 * Reads the command line of a script, as `parseArgs` does. Prints `usage` and
 * exits for --help, and for an option that the script does not have.
 */
export function commandLine(usage, { options = {}, ...more } = {}) {
  const config = { ...more, options: { ...options, ...help } };
  const { values, positionals } = orUsage(usage, () => parseArgs(config));
  if (values.help) exitWithUsage(usage, 0);
  return { values, positionals };
}

/**
 * Reads the command line of a script that passes arguments on to jest: `rest`
 * has all that are not the script's own. Jest rejects what it does not know.
 */
export function jestCommandLine(usage, options = {}) {
  const own = { ...options, ...help };
  const args = process.argv.slice(2);
  const { tokens } = parseArgs({
    args,
    options: own,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const taken = new Set();
  for (const { kind, name, index, value, inlineValue } of tokens) {
    if (kind !== 'option' || !Object.hasOwn(own, name)) continue;
    taken.add(index);
    if (value !== undefined && !inlineValue) taken.add(index + 1);
  }
  const { values } = orUsage(usage, () =>
    parseArgs({ args: args.filter((_, i) => taken.has(i)), options: own }),
  );
  if (values.help) exitWithUsage(usage, 0);
  return { values, rest: args.filter((_, i) => !taken.has(i)) };
}

function orUsage(usage, parse) {
  try {
    return parse();
  } catch (error) {
    console.error(`${error.message}\n`);
    return exitWithUsage(usage, 2);
  }
}

function exitWithUsage(usage, code) {
  (code === 0 ? console.log : console.error)(usage.trim());
  process.exit(code);
}

/**
 * Resolves when the command has ended and no process holds its output open.
 * With `inherit` the output goes to the terminal and `output` stays empty.
 */
export function run(command, args, options) {
  const { cwd, env = process.env, timeoutMs, inherit = false } = options;
  return new Promise((settle) => {
    const output = { stdout: '', all: '' };
    let hasExited = false;
    let overdue;
    // In its own process group, so that its descendants are killed with it.
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
        ? `another process still held its output open ${limit}`
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

/**
 * Runs a command and returns what it printed, as `{ stdout, all }`. Throws when
 * the command fails.
 */
export async function command(file, args, options = {}) {
  const { cwd = root, env = process.env, minutes = 2 } = options;
  const timeoutMs = minutes * 60_000;
  const { failure, output } = await run(file, args, { cwd, env, timeoutMs });
  if (failure === undefined) return output;
  throw new Error(`${failure}\n${output.all.replace(/^(?=.)/gm, '  ')}`);
}

/**
 * Runs each step, or only the chosen ones. A failed step does not keep the next
 * ones from running. A step throws when it fails; what it returns is printed.
 */
export async function runSteps(steps, chosen = []) {
  const unknown = chosen.filter((name) => !Object.hasOwn(steps, name));
  if (unknown.length > 0) {
    const names = Object.keys(steps).join(', ');
    console.error(`No such step: ${unknown.join(', ')}. Steps: ${names}`);
    process.exitCode = 2;
    return;
  }
  for (const [name, work] of Object.entries(steps)) {
    if (chosen.length > 0 && !chosen.includes(name)) continue;
    const start = performance.now();
    try {
      const result = await work();
      const detail = result === undefined ? '' : `: ${result}`;
      console.log(`ok ${name}${detail} (${seconds(start)})`);
    } catch (error) {
      console.log(`FAILED ${name}: ${error.message}`);
      process.exitCode = 1;
    }
  }
}

/** Makes a signal that ends this script kill its commands, then clean up. */
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
    // ESRCH: the whole group has already ended.
    if (error.code !== 'ESRCH') throw error;
  }
}

export function seconds(sinceMs) {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;
}
