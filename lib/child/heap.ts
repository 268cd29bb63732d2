// The heap of a zygote, which each fork begins with.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

type Collect = (options?: { type: 'minor' }) => void;

/**
 * A full collection. It throws away the compiled code of functions that are not
 * in use, because V8 holds it weakly, and with it the garbage of loading.
 */
export function collectFully(): void {
  collector()();
}

/** A collection of the young generation only, which a fork then finds empty. */
export function collectYoung(): void {
  collector()({ type: 'minor' });
}

// A new context has the function as soon as the flag is set, and no other has.
function collector(): Collect {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  return collect;
}
