import { type Deadline, onDeadline } from '../system/deadline.js';

/** Rejects with what `late` returns when the deadline passes first. */
export function inTime<T>(
  promise: Promise<T>,
  deadline: Deadline,
  late: () => Error,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = onDeadline(deadline, () => {
      reject(late());
    });
    promise.then(resolve, reject).finally(() => {
      timer.cancel();
    });
  });
}
