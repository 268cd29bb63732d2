// Where the jobs of a pool lock their numbers. On Linux, that is the slot pipe itself.
// macOS locks no pipes: there, each pool has an anonymous file, which is inherited
// along with the pipe.
import { check, native } from '../system/binding.js';
import { Fd } from '../system/fd.js';
import type { SlotPipe } from './slot-pipe.js';

export const needsLocks: boolean = process.platform !== 'linux';

const files = new WeakMap<SlotPipe, number>();

/** Borrowed: the file of a pool; -1 where there is none. */
export function locksOf(pipe: SlotPipe): number {
  if (!needsLocks) return -1;
  const known = files.get(pipe);
  if (known !== undefined) return known;
  const file = new Fd(check(native.anonymousFile(), 'open a file of locks'));
  pipe.closeWith(file);
  files.set(pipe, file.number);
  return file.number;
}

/**
 * The pipe is one of a pool that has a file. It gets no duplicate: when that was
 * closed, all locks of this process would end.
 */
export function shareLocks(pipe: SlotPipe, locks: number): void {
  if (needsLocks) files.set(pipe, locks);
}
