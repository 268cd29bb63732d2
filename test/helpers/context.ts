// Which promises a context must keep.
import type { Context } from '../../dist/context.js';

/** False where a job is one synchronous call, which cannot await anything. */
export const hasEventLoop = (context: Context): boolean => context !== 'fork';

/** False where functions need not be named, nor arguments be copied. */
export const isRemote = (context: Context): boolean => context !== 'fork';

/** `test`, or a function that does nothing where there is no such promise. */
export function testIf(
  isPromised: boolean,
): (name: string, run: () => unknown) => void {
  return (name, run) => {
    if (isPromised) test(name, run as () => Promise<void>);
  };
}
