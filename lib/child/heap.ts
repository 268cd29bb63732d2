// The heap of a zygote, which each fork begins with.
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { native } from '../system/binding.js';
import { random } from './random.js';

type Collect = (options?: { type: 'minor' }) => void;

/**
 * A full collection. It throws away the compiled code of functions that are not
 * in use, because V8 holds it weakly, and with it the garbage of loading.
 */
export function collectFully(): void {
  collector()();
}

/**
 * Collects the young generation only, which a fork then finds empty, and gives its memory
 * back. Otherwise each fork copies a page of garbage before it writes an object there,
 * which takes longer than a page of zeros.
 */
export function emptyYoung(): void {
  const collect = collector();
  collect({ type: 'minor' });
  // A page of V8 has room for two of these, see kMaxRegularHeapObjectSize. The number is
  // not that of `Math.random`, which a preloaded module may have replaced by a constant.
  const marks = new Array<number>(15_000).fill(random());
  // The young generation has two halves, and a collection changes to the other one.
  for (let half = 0; half < 2; half++) {
    for (let bytes = freeYoung(); bytes > 0; bytes -= 8 * marks.length) {
      marks.slice();
    }
    collect({ type: 'minor' });
  }
  // Nobody reads a dead array again, and no other memory is full of this number. Where
  // /proc cannot be read, the garbage stays, which costs only time.
  native.dropFilledPages(marks[0]!);
}

function freeYoung(): number {
  const spaces = getHeapSpaceStatistics();
  const young = spaces.find(({ space_name }) => space_name === 'new_space');
  return young?.space_available_size ?? 0;
}

// A new context has the function as soon as the flag is set, and no other has.
function collector(): Collect {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  return collect;
}
