// Names functions in one process and calls them by these names in another.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { FunctionRef } from '../../dist/functions/function-ref.js';
import { timeoutFactor } from '../helpers/until.js';

interface Refusal {
  error: { name: string; code: string; message: string };
}
/** The name of a function, and its description. */
export type Named = { ref: FunctionRef; text: string } & Refusal;
/** What came of a call; see fixtures/functions/call-all.mjs. */
export type Called = {
  value: unknown;
  isSync: boolean;
  again: FunctionRef;
} & Refusal;
export type Call = [label: string, ref: FunctionRef, ...args: unknown[]];

jest.setTimeout(60_000 * timeoutFactor);

export const fixtures = resolve('test', 'fixtures', 'functions');
/** The module under test, for programs that load it themselves. */
export const lib = resolve('dist', 'functions', 'function-ref.js');

/** The standard output of a node program, which must succeed in silence. */
export function node(args: string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    input,
    timeout: 20_000 * timeoutFactor,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

/** Names every function that a module submits, by its label. */
export function nameAll(file: string): Record<string, Named> {
  const url = pathToFileURL(file).href;
  return JSON.parse(node([join(fixtures, 'name-all.mjs'), url]));
}

/** Calls functions in a process that knows only their names. */
export function callAll(calls: Call[]): Record<string, Called> {
  const program = join(fixtures, 'call-all.mjs');
  return JSON.parse(node([program, JSON.stringify(calls)]));
}

/** Names what a module submits in one process, and calls it in another. */
export function nameAndCall(
  file: string,
  args: (label: string) => unknown[],
): { named: Record<string, Named>; called: Record<string, Called> } {
  const named = nameAll(file);
  const calls = Object.entries(named)
    .filter(([, { error }]) => error === undefined)
    .map(([label, { ref }]): Call => [label, ref, ...args(label)]);
  return { named, called: callAll(calls) };
}

/** Matches the error for a function that cannot be named or imported. */
export function refusal(text: string): object {
  return {
    name: 'TypeError',
    code: 'ERR_JOBSERVER_FUNCTION',
    message: expect.stringContaining(text),
  };
}

/**
 * A directory for the modules that the tests of a file write, which is removed
 * after them.
 */
export function useDirectory(): {
  path: () => string;
  /** Writes a file and returns its path. */
  write: (name: string, text: string) => string;
} {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'functions-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));
  return {
    path: () => directory,
    write: (name, text) => {
      const file = join(directory, name);
      writeFileSync(file, text);
      return file;
    },
  };
}
