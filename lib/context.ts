// The ways to start the process of a job: their names, the default, and where
// the fork context is possible.
import { isMainThread } from 'node:worker_threads';
import { codedError, invalidArgument, invalidValue } from './errors.js';

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

/** Forks replace Math.random, see child/random. */
export const mathIsFrozen =
  'Math is frozen (--frozen-intrinsics), so that Math.random would return ' +
  'the same numbers in all forks';

/**
 * Throws when a fork of this process could not run JavaScript. `isForked`: the
 * process is itself a fork of a process without threads.
 */
export function checkForkable(isForked: boolean): void {
  if (process.platform !== 'linux') {
    throw forkError(`${process.platform} cannot fork a node process`);
  }
  if (!isMainThread) throw forkError('this is a worker thread');
  if (isForked) return;
  if (Object.isFrozen(Math)) throw forkError(mathIsFrozen);
  if (hasThreadlessFlags()) return;
  throw forkError(
    'this process has threads that a fork would lack. Start it with ' +
      '`node --single-threaded --v8-pool-size=1`',
  );
}

export function forkError(why: string): Error {
  return codedError(
    'ERR_JOBSERVER_FORK',
    `The fork context is not possible: ${why}`,
  );
}

function hasThreadlessFlags(): boolean {
  const flags = process.execArgv.map((flag) => flag.replaceAll('_', '-'));
  return (
    flags.includes('--single-threaded') && flags.includes('--v8-pool-size=1')
  );
}
