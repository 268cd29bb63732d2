// Reads what a job writes to one of its streams.
import { errno, native } from '../system/binding.js';
import type { Fd } from '../system/fd.js';
import { selector } from '../system/selector.js';

// The most that one turn of the event loop reads from one pipe.
const turnBytes = 256 << 10;

// The most that a pipe can hold: the default of /proc/sys/fs/pipe-max-size.
const mostInPipe = 1 << 20;

const buffer = Buffer.allocUnsafeSlow(64 << 10);

export class PipeReader {
  readonly #fd: Fd;
  readonly #onBytes: (bytes: Buffer) => void;
  #isPaused = true;

  /**
   * Takes over the fd, which is non-blocking. `onBytes` gets bytes that are valid
   * until it returns.
   */
  constructor(fd: Fd, onBytes: (bytes: Buffer) => void) {
    this.#fd = fd;
    this.#onBytes = onBytes;
  }

  /** Throws where the fd cannot be watched. */
  start(): void {
    if (!this.#isPaused || this.#fd.number < 0) return;
    selector.add(this.#fd.number, () => {
      this.#read(turnBytes);
    });
    this.#isPaused = false;
  }

  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    selector.remove(this.#fd.number);
  }

  /** Reads what is there, without waiting, and closes the pipe. */
  end(): void {
    this.#read(mostInPipe);
    this.close();
  }

  close(): void {
    this.pause();
    this.#fd.close();
  }

  #read(most: number): void {
    for (let left = most; left > 0 && this.#fd.number >= 0;) {
      const count = native.read(this.#fd.number, buffer, 0, buffer.length);
      if (count === -errno.EAGAIN) return;
      if (count <= 0) {
        this.close();
        return;
      }
      left -= count;
      this.#onBytes(buffer.subarray(0, count));
    }
  }
}
