// Waits until a descriptor shows that a process has ended. Where the kernel has
// no such descriptor, or none is free, it asks every few milliseconds.
import { isHeld } from '../system/fd.js';
import { selector } from '../system/selector.js';

export class EndWatch {
  readonly #onChange: () => void;
  #fd: number | undefined;

  /** `onChange` may be called before the end. */
  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** `fd`: borrowed until `stop`; below 0 for none. */
  await(fd: number): void {
    if (fd === this.#fd) return;
    this.stop();
    this.#fd = fd;
    if (fd < 0 || !selector.tryAdd(fd, this.#onChange)) {
      selector.poll(this.#onChange);
    }
  }

  /** Whether another process has the other end of the fd, whose end it awaits then. */
  awaitPeer(fd: number): boolean {
    const isAwaited = isHeld(fd);
    if (isAwaited) this.await(fd);
    else this.stop();
    return isAwaited;
  }

  stop(): void {
    if (this.#fd !== undefined) selector.remove(this.#fd);
    this.#fd = undefined;
    selector.stopPolling(this.#onChange);
  }
}
