// Checks the controls that concern the process of a job.
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Context } from '../context.js';
import { invalidArgument, invalidValue, outOfRange } from '../errors.js';
import { isUrl } from '../functions/url.js';
import type { ResourceLimits } from '../protocol/settings.js';
import {
  type OptionNames,
  checkBoolean,
  checkOptions,
} from '../system/options.js';
import { whyKilled } from './memory-kills.js';
import type { Bounds } from './plan.js';

/** Returns an absolute path. */
export function checkDirectory(given: unknown): string {
  const expected = 'a path or a file: URL';
  if (isUrl(given)) {
    if (given.protocol === 'file:') return fileURLToPath(given.href);
    throw invalidValue('cwd', expected, given.href);
  }
  if (typeof given !== 'string') throw invalidArgument('cwd', expected, given);
  if (given === '' || given.includes('\0')) {
    throw invalidValue('cwd', expected, given);
  }
  return resolve(given);
}

export function checkGroup(given: unknown, orphanSignal: number): boolean {
  if (typeof given !== 'boolean') {
    throw invalidArgument('processGroup', 'a boolean', given);
  }
  if (!given || orphanSignal > 0) return given;
  throw invalidValue(
    'processGroup',
    'false with `orphanSignal: null`, because nothing would end the group of a ' +
      'job whose submitter has died',
    given,
  );
}

export function checkNice(level: unknown): number {
  return checkInteger(level, 'nice', [-20, 19]);
}

export function checkOomScore(score: unknown): number {
  checkLinux(score, 'oomScoreAdj');
  return checkInteger(score, 'oomScoreAdj', [0, 1000]);
}

const limits: OptionNames<ResourceLimits> = {
  cpuTime: true,
  addressSpace: true,
  fileSize: true,
  openFiles: true,
  coreDump: true,
};

/** `before` with those that are given. */
export function mergeLimits(
  before: ResourceLimits | undefined,
  given: unknown,
): ResourceLimits {
  if (typeof given !== 'object' || given === null) {
    throw invalidArgument('limits', 'an object', given);
  }
  const merged: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(checkOptions(given, limits))) {
    if (value === undefined) continue;
    if (name === 'addressSpace') checkLinux(value, `limits.${name}`);
    const least = name === 'cpuTime' ? 1 : 0;
    const range = [least, Number.MAX_SAFE_INTEGER] as const;
    merged[name] = checkInteger(value, `limits.${name}`, range);
  }
  return merged;
}

export function checkHeap(mib: unknown, context: Context): number {
  refuseFork(mib, 'maxHeapMb', context);
  return checkInteger(mib, 'maxHeapMb', [1, 2 ** 20]);
}

export function checkExecArgv(given: unknown, context: Context): string[] {
  refuseFork(given, 'execArgv', context);
  const isList = Array.isArray(given);
  if (isList && given.every((each) => typeof each === 'string')) {
    return [...given];
  }
  throw invalidArgument('execArgv', 'an array of strings', given);
}

export function checkInheritance(given: unknown, context: Context): boolean {
  refuseFork(given, 'inheritExecArgv', context);
  return checkBoolean(given, 'inheritExecArgv');
}

/** The options of node that controls add to those of this process. */
export function nodeOptionsOf(
  execArgv: readonly string[],
  maxHeapMb: number | undefined,
): readonly string[] {
  if (maxHeapMb === undefined) return execArgv;
  return [...execArgv, `--max-old-space-size=${maxHeapMb}`];
}

/** Why the process has ended, where a limit is known that can have ended it so. */
export function exceeded(
  signal: NodeJS.Signals | null,
  { settings, maxHeapMb }: Pick<Bounds, 'settings' | 'maxHeapMb'>,
): string | undefined {
  if (signal === 'SIGKILL') return whyKilled();
  const cpuTime = settings?.limits?.cpuTime;
  if (signal === 'SIGXCPU' && cpuTime !== undefined) {
    return `it has used its cpuTime of ${cpuTime} ms`;
  }
  // V8 aborts, or runs into a trap.
  const hasAborted = signal === 'SIGABRT' || signal === 'SIGTRAP';
  if (!hasAborted || maxHeapMb === undefined) return undefined;
  return `most likely it ran out of its ${maxHeapMb} MiB heap`;
}

function checkInteger(
  value: unknown,
  name: string,
  [least, most]: readonly [number, number],
): number {
  const expected =
    most < Number.MAX_SAFE_INTEGER
      ? `an integer from ${least} to ${most}`
      : `an integer, ${least} or more`;
  if (typeof value !== 'number') throw invalidArgument(name, expected, value);
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw outOfRange(name, expected, value);
  }
  return value;
}

function checkLinux(value: unknown, name: string): void {
  if (process.platform === 'linux') return;
  throw invalidValue(name, 'absent, because only Linux has it', value);
}

function refuseFork(value: unknown, name: string, context: Context): void {
  if (context !== 'fork') return;
  const why = 'whose jobs run in a copy of their submitter';
  throw invalidValue(name, `absent in the fork context, ${why}`, value);
}
