// Waits until a descriptor shows that a process has ended. Where the kernel has
// no such descriptor, or none is free, it asks every few milliseconds.
import { errno, native } from '../system/binding.js';
import { selector } from '../system/selector.js';

/** Whether another process has the other end of the fd; reads from it. */
function isHeld(fd: number): boolean {
  if (fd < 0) return false;
  const count = native.read(fd, new Uint8Array(1), 0, 1);
  return count > 0 || count === -errno.EAGAIN;
}

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
