// The ways to start a job's process: their names, and which is the default.
import { invalidArgument, invalidValue } from './errors.js';

export const contexts = ['forkserver', 'spawn', 'fork'] as const;

/** How a job's process starts. */
export type Context = (typeof contexts)[number];

export const defaultContext: Context =
  process.platform === 'linux' ? 'forkserver' : 'spawn';

export function checkContext(context: unknown): Context {
  const known = contexts.find((name) => name === context);
  if (known !== undefined) return known;
  const expected = `one of ${contexts.map((name) => `'${name}'`).join(', ')}`;
  throw typeof context === 'string'
    ? invalidValue('context', expected, context)
    : invalidArgument('context', expected, context);
}
