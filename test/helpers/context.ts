// Which promises a context must keep.
import { type Context, defaultContext } from '../../dist/context.js';

/** False where a job is one synchronous call, which cannot await anything. */
export const hasEventLoop = (context: Context): boolean => context !== 'fork';

/** False where functions need not be named, nor arguments be copied. */
export const isRemote = (context: Context): boolean => context !== 'fork';

/**
 * Whether a context repeats what is alike in all of them. The default context does. The
 * others start processes more slowly, so only the nightly workflow has them do it.
 */
export const isWhole = (context: Context): boolean =>
  process.env['WHOLE_CONTRACT'] === '1' || context === defaultContext;

/** `test`, or a function that does nothing where there is no such promise. */
export function testIf(
  isPromised: boolean,
): (name: string, run: () => unknown) => void {
  return (name, run) => {
    if (isPromised) test(name, run as () => Promise<void>);
  };
}
