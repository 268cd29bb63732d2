// The number of a job is a lock on the byte at this position, in a file that the
// processes of its pool share. So the kernel gives it back, however a job ends. On
// Linux the file is the slot pipe, which each job has anyway.
import { constants } from 'node:fs';
import { codedError } from '../errors.js';
import {
  type Ambient,
  type HeldNumber,
  workerState,
} from '../protocol/worker-state.js';
import { check, errno, native } from '../system/binding.js';
import { openFile } from '../system/fd.js';

/**
 * In a job: the smallest number from 0 on that no other job of this pool has. It is
 * found at the first call, and kept until the job ends. A job that has lent its slot
 * keeps it too, and so does a job with `consume: 0`: then numbers may reach the number
 * of slots, or more.
 *
 * @example
 * ```js
 * export async function test(file) {
 *   await connect(`test_${slotNumber()}`); // test_0, test_1, …
 * }
 * ```
 *
 * @throws Error with code ERR_JOBSERVER_NO_JOB outside of a job, and in a worker
 * thread; a system error when the file cannot be opened or locked.
 */
export function slotNumber(): number {
  const { ambient } = workerState;
  if (ambient === undefined) {
    throw codedError(
      'ERR_JOBSERVER_NO_JOB',
      'slotNumber() was called outside of a job, where there is no such number',
    );
  }
  workerState.slotNumber ??= takeNumber(ambient);
  return workerState.slotNumber.number;
}

function takeNumber({ writer, locks }: Ambient): HeldNumber {
  // The lock belongs to what `open` makes, so a duplicate would share it. Forks of
  // this process close the file before they run code of the user.
  const own =
    locks < 0 ? openFile(`/proc/self/fd/${writer}`, flags) : undefined;
  const fd = own?.number ?? locks;
  try {
    const number = lockFirst(fd);
    const release = (): void => {
      workerState.slotNumber = undefined;
      if (own === undefined) native.lockByte(fd, number, false);
      else own.close();
    };
    return { number, release };
  } catch (error) {
    own?.close();
    throw error;
  }
}

// Opening a pipe does not wait then.
const flags = constants.O_WRONLY | constants.O_NONBLOCK;

function lockFirst(fd: number): number {
  for (let number = 0; ; number++) {
    const result = native.lockByte(fd, number, true);
    if (result === -errno.EAGAIN) continue;
    check(result, 'lock the number of a job');
    return number;
  }
}
