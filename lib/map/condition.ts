// Waits for a change of state, and leaves no timer or listener behind.
import { type Deadline, onDeadline } from '../system/deadline.js';

export class Condition {
  #waiting: (() => void)[] = [];

  /** Resolves at the next `notify`, or once the deadline has passed. */
  wait(deadline: Deadline): Promise<void> {
    return new Promise((resolve) => {
      const timer = onDeadline(deadline, resolve);
      this.#waiting.push(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  notify(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
