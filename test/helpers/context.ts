// What a context is asked to promise.
import type { Context } from '../../dist/context.js';

/** False where a job is one synchronous call, which can await nothing. */
export const hasEventLoop = (context: Context): boolean => context !== 'fork';

/** False where functions need no name, and arguments no copy. */
export const isRemote = (context: Context): boolean => context !== 'fork';

/** A test, or nothing where there is nothing to promise. */
export function testIf(
  isPromised: boolean,
): (name: string, run: () => unknown) => void {
  return (name, run) => {
    if (isPromised) test(name, run as () => Promise<void>);
  };
}
