// Waiting for memory that processes share. `Atomics.wait` takes only a
// SharedArrayBuffer, which cannot lie in memory of other processes.
import { types } from 'node:util';
import { invalidArgument, outOfRange } from '../errors.js';
import { check, errno, native } from '../system/binding.js';
import {
  deadlineAfter,
  longestTimerMs,
  remaining,
} from '../system/deadline.js';
import { checkOptions } from '../system/options.js';
import { placeKinds } from '../wire/value.js';
import { pieceOf } from './pieces.js';

const waitOptions = { timeout: true } as const;

// A thread can be terminated between two waits, but not during one.
const longestWaitMs = native.isMainThread ? longestTimerMs : 100;

/**
 * Blocks the thread until another process or thread calls {@link notify} for the
 * same element, like `Atomics.wait`. Use it for memory of {@link share}. Change the
 * element before you notify: a worker thread waits 100 ms at a time, so that it can
 * be terminated, and looks at the element in between.
 *
 * @example
 * ```js
 * import { Jobserver, notify, share, wait } from 'jobserver';
 * import { produce } from './producer.js';
 *
 * await using jobserver = new Jobserver();
 * const flag = new Int32Array(share(4));
 * const future = await jobserver.submit(produce, [flag]); // calls notify(flag, 0)
 * console.log(wait(flag, 0, 0, { timeout: 10_000 })); // 'ok' or 'not-equal'
 * await future.result();
 * ```
 *
 * @param array - A view on memory of {@link share}.
 * @param index - Of the element, from 0.
 * @param value - An int32; the call returns at once if the element has another one.
 * @param options.timeout - Milliseconds; default: no limit.
 * @returns 'ok' when it was notified, 'not-equal', or 'timed-out'.
 * @throws A TypeError with code ERR_INVALID_ARG_TYPE for another array. A RangeError
 * with code ERR_OUT_OF_RANGE for an index that the array does not have, and for a
 * value that is no int32.
 */
export function wait(
  array: Int32Array,
  index: number,
  value: number,
  options: { timeout?: number | undefined } = {},
): 'ok' | 'not-equal' | 'timed-out' {
  checkElement(array, index);
  const wanted = checkInt32(value);
  const { timeout } = checkOptions(options, waitOptions);
  const deadline = deadlineAfter(timeout);
  for (;;) {
    const left = Math.min(remaining(deadline), longestWaitMs);
    const result = native.waitWord(array, index, wanted, left);
    if (result === 0) return 'ok';
    if (result === -errno.EAGAIN) return 'not-equal';
    if (result !== -errno.ETIMEDOUT) check(result, 'wait for shared memory');
    if (remaining(deadline) === 0) return 'timed-out';
  }
}

/**
 * Wakes those who {@link wait} for an element.
 *
 * @param array - A view on memory of {@link share}.
 * @param index - Of the element, from 0.
 * @param count - How many to wake at most, an integer of at least 0; default: all.
 * @returns How many were woken; always 0 on macOS, where those who wait look by
 * themselves every millisecond.
 * @throws As {@link wait} does.
 * @example See {@link wait}.
 */
export function notify(
  array: Int32Array,
  index: number,
  count = Infinity,
): number {
  checkElement(array, index);
  if (count !== Infinity && !(Number.isSafeInteger(count) && count >= 0)) {
    throw outOfRange('count', 'an integer of at least 0, or Infinity', count);
  }
  const most = Math.min(count, 2 ** 31 - 1);
  return check(native.wakeWord(array, index, most), 'notify shared memory');
}

function checkElement(array: unknown, index: unknown): void {
  const buffer = types.isInt32Array(array) ? array.buffer : undefined;
  const kind = types.isArrayBuffer(buffer) ? pieceOf(buffer)?.kind : undefined;
  if (!types.isInt32Array(array) || kind !== placeKinds.shared) {
    const expected = 'an Int32Array on memory of share(byteLength)';
    throw invalidArgument('array', expected, array);
  }
  if (!Number.isSafeInteger(index) || !(Number(index) in array)) {
    throw outOfRange(
      'index',
      `an integer from 0 to ${array.length - 1}`,
      index,
    );
  }
}

function checkInt32(value: unknown): number {
  if (typeof value === 'number' && (value | 0) === value) return value;
  throw outOfRange('value', 'an int32', value);
}
