// A message that travels as an anonymous file, because it is large. It is read in
// parts, so that other readers get their turn.
import { native } from '../system/binding.js';
import type { Message } from './messages.js';

// The most that one call of `read` reads.
const stepBytes = 8 << 20;

function tryAllocate(length: number): Buffer | undefined {
  try {
    return Buffer.allocUnsafeSlow(length);
  } catch {
    return undefined;
  }
}

/** The bytes of one message. */
export class MessageFile {
  readonly #fd: number;
  /** Undefined when there is no memory for the length that was claimed. */
  readonly #bytes: Buffer | undefined;
  readonly #message: Omit<Message, 'bytes'>;
  #offset = 0;

  /** Takes over the fd. */
  constructor(fd: number, length: number, message: Omit<Message, 'bytes'>) {
    this.#fd = fd;
    this.#bytes = tryAllocate(length);
    this.#message = message;
  }

  /** Reads a part; undefined while it is not the last one. */
  read(): Message | undefined {
    const bytes = this.#bytes;
    if (bytes === undefined) return { ...this.#message, bytes };
    const offset = this.#offset;
    const length = Math.min(stepBytes, bytes.length - offset);
    // By position, because the writer left the file offset at the end.
    const count = native.readAt(this.#fd, bytes, offset, length, offset);
    if (count <= 0) return { ...this.#message, bytes: undefined };
    this.#offset += count;
    if (this.#offset < bytes.length) return undefined;
    return { ...this.#message, bytes };
  }

  close(): void {
    native.close(this.#fd);
  }

  /** Nobody gets the message. */
  drop(): void {
    this.close();
    for (const file of this.#message.enclosures) file.close();
  }
}
