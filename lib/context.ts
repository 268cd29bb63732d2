// The ways to start the process of a job: their names and the default.
import { invalidArgument, invalidValue } from './errors.js';

/**
 * How the process of a job starts: 'spawn' starts a new node, 'forkserver'
 * forks a warm node, 'fork' forks the process that submits the job. See
 * {@link JobserverOptions.context}.
 *
 * @example
 * ```js
 * const jobserver = new Jobserver({ context: 'spawn' });
 * ```
 */
export type Context = 'forkserver' | 'spawn' | 'fork';

const contexts: readonly Context[] = ['forkserver', 'spawn', 'fork'];

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
