// The slot pipe: one byte in it for each free slot, shared by every process
// that works under the Jobserver. It neither knows who opened its two ends nor
// what a token is used for.
import { check, errno, native, systemError } from '../system/binding.js';
import { type Fd, openPipe } from '../system/fd.js';

/** The pipe must take all tokens at once; PIPE_BUF on Linux. */
export const maxSlots = 4096;

// What GNU Make writes for a slot. Any byte is a token; none has a meaning.
const tokenByte = '+'.charCodeAt(0);

/** One slot, held. */
export class Token {
  readonly byte: number;
  readonly #give: (byte: number) => void;
  #given = false;

  constructor(byte: number, give: (byte: number) => void) {
    this.byte = byte;
    this.#give = give;
  }

  give(): void {
    if (this.#given) throw new Error('Assertion: a token is given back once');
    this.#given = true;
    this.#give(this.byte);
  }
}

/** A slot beside those of the pipe, which only this process may use. */
export interface OwnSlot {
  /** Readable while it is free or the pipe has a token; -1 in a fork. */
  readonly ready: number;
  tryTake(): boolean;
  give(): void;
  close(): void;
}

// A job in the own slot has no byte to give back, like one beside the slots.
const noByte = -1;

export class SlotPipe {
  readonly #reader: Fd;
  readonly #writer: Fd;
  readonly #ownSlot: OwnSlot | undefined;
  /** Undefined where the owner of the pipe did not tell. */
  readonly count: number | undefined;
  readonly #byte = new Uint8Array(1);
  #taken = 0;
  #isClosed = false;

  static open(count: number): SlotPipe {
    const { reader, writer } = openPipe('slot pipe');
    check(native.setNonBlocking(reader.number, true), 'prepare slot pipe');
    const tokens = Buffer.alloc(count, tokenByte);
    const written = native.write(writer.number, tokens, 0, count);
    if (written !== count) {
      reader.close();
      writer.close();
      throw systemError(Math.min(written, -1), 'fill slot pipe');
    }
    return new SlotPipe(reader, writer, count);
  }

  /** Owns both ends, and the use of the own slot, from here on. */
  constructor(
    reader: Fd,
    writer: Fd,
    count: number | undefined,
    ownSlot?: OwnSlot,
  ) {
    this.#reader = reader.keepInForks();
    this.#writer = writer.keepInForks();
    this.count = count;
    this.#ownSlot = ownSlot;
    finalizer.register(this, { reader, writer, ownSlot }, this);
  }

  /** Borrowed: readable while a slot is free for this process. */
  get ready(): number {
    const ready = this.#ownSlot?.ready ?? -1;
    return ready < 0 ? this.reader : ready;
  }

  /** Borrowed: readable while a slot is free for everybody. */
  get reader(): number {
    return this.#reader.number;
  }

  /** Borrowed. */
  get writer(): number {
    return this.#writer.number;
  }

  /** A free slot, or undefined when there is none right now. */
  tryTake(): Token | undefined {
    if (this.#ownSlot?.tryTake() === true) {
      this.#taken += 1;
      return new Token(noByte, () => this.#giveOwn());
    }
    const count = native.read(this.reader, this.#byte, 0, 1);
    if (count === 1) {
      this.#taken += 1;
      return new Token(this.#byte[0]!, (byte) => this.#give(byte));
    }
    if (count === -errno.EAGAIN) return undefined;
    throw systemError(count === 0 ? -errno.EPIPE : count, 'read slot pipe');
  }

  /** Takes effect when the last token that was taken here is back. */
  close(): void {
    this.#isClosed = true;
    this.#closeWhenIdle();
  }

  #give(byte: number): void {
    this.#byte[0] = byte;
    check(native.write(this.writer, this.#byte, 0, 1), 'write slot pipe');
    this.#taken -= 1;
    this.#closeWhenIdle();
  }

  #giveOwn(): void {
    this.#ownSlot?.give();
    this.#taken -= 1;
    this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    if (!this.#isClosed || this.#taken > 0) return;
    finalizer.unregister(this);
    this.#ownSlot?.close();
    this.#reader.close();
    this.#writer.close();
  }
}

// A Jobserver that is dropped without being closed has no other end.
const finalizer = new FinalizationRegistry<{
  reader: Fd;
  writer: Fd;
  ownSlot: OwnSlot | undefined;
}>(({ reader, writer, ownSlot }) => {
  ownSlot?.close();
  reader.close();
  writer.close();
});
