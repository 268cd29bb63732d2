// Waiting for something to change, without a timer or a listener left behind.
import { type Deadline, at } from '../system/deadline.js';

export class Changes {
  #waiting: (() => void)[] = [];

  /** Resolves at the next `tell`, or when the time is up. */
  next(deadline: Deadline): Promise<void> {
    return new Promise((resolve) => {
      const timer = at(deadline, resolve);
      this.#waiting.push(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  tell(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
