// The slot pipe: it holds one byte for each free slot and is shared by every
// process that works under the Jobserver. This file knows neither who opened
// the two ends of the pipe nor what a token is used for.
import { check, errno, native, systemError } from '../system/binding.js';
import { type Fd, openPipe } from '../system/fd.js';
import { mainValue } from '../system/main-global.js';

/** The pipe must have room for all tokens at once; PIPE_BUF on Linux. */
export const maxSlots = 4096;

// What GNU Make writes for a slot. Any byte is a token, whatever its value.
const tokenByte = '+'.charCodeAt(0);

/** The `byte` of a job that takes no slot. */
export const noSlot = -1;

// That of a job whose slot is none of the pipe's: there is no byte to give back.
const noByte = -2;

const noWord: Int32Array = new Int32Array(0);

/**
 * One slot, held. It has one owner at a time, who gives it back once or moves
 * it to the next owner. A function with a parameter of this type takes the
 * token over; a function that borrows it takes the byte.
 */
export class Token {
  readonly byte: number;
  /**
   * The result sockets of the jobs that lend the slot. The worker keeps them open,
   * because the submitter of a lender gives the token back at their end.
   */
  readonly lenders: readonly number[];
  /** Undefined once the token was given back or moved. */
  #give: (() => void) | undefined;
  /** The pipe that the byte came from; -1: none. */
  readonly #slotFd: number;

  constructor(
    byte: number,
    give: () => void,
    lenders: readonly number[] = [],
    slotFd = -1,
  ) {
    this.byte = byte;
    this.#give = give;
    this.lenders = lenders;
    this.#slotFd = slotFd;
  }

  /** For a job that takes no slot. */
  static none(): Token {
    return new Token(noSlot, () => undefined);
  }

  /** The token of a new owner; this object is void from now on. */
  move(): Token {
    const give = this.#release();
    return new Token(this.byte, give, this.lenders, this.#slotFd);
  }

  /**
   * Until the reader of the job's result socket is closed, the end of this thread
   * leaves the token to the processes that hold the other end. `word`: that of
   * their claims.
   */
  bindTo(
    resultReader: number,
    orphanSignal: number,
    word: Int32Array = noWord,
  ): void {
    const { byte } = this;
    if (this.#slotFd < 0) return;
    native.bindToken(this.#slotFd, byte, resultReader, orphanSignal, word);
  }

  give(): void {
    this.#release()();
  }

  #release(): () => void {
    const give = this.#give;
    if (give === undefined) throw new Error('Assertion: a token has one owner');
    this.#give = undefined;
    return give;
  }
}

interface Closeable {
  close(): void;
}

/** A slot in addition to those of the pipe, which only this process may use. */
export interface OwnSlot extends Closeable {
  /** Readable while it is free or the pipe has a token; -1 in a fork. */
  readonly ready: number;
  tryTake(): boolean;
  give(): void;
}

/** What a SlotPipe has besides the two ends of its pipe. */
interface SlotPipeOptions {
  readonly ownSlot?: OwnSlot | undefined;
  /** Default: that of a new pipe. */
  readonly identity?: symbol | undefined;
}

export class SlotPipe {
  readonly #reader: Fd;
  readonly #writer: Fd;
  readonly #ownSlot: OwnSlot | undefined;
  /** Undefined where the creator of the pipe did not say. */
  readonly count: number | undefined;
  /** The same for all duplicates of one pipe in this process. */
  readonly identity: symbol;
  /** Closed together with the pipe. */
  readonly #parts: Closeable[];
  #taken = 0;
  #isClosed = false;

  static open(count: number): SlotPipe {
    const { reader, writer } = openPipe('slot pipe');
    try {
      check(native.setNonBlocking(reader.number, true), 'prepare slot pipe');
      const tokens = Buffer.alloc(count, tokenByte);
      const written = native.write(writer.number, tokens, 0, count);
      if (written !== count) {
        throw systemError(Math.min(written, -1), 'fill slot pipe');
      }
    } catch (error) {
      reader.close();
      writer.close();
      throw error;
    }
    return new SlotPipe(reader, writer, count);
  }

  /** Takes over both ends and the own slot. */
  constructor(
    reader: Fd,
    writer: Fd,
    count: number | undefined,
    { ownSlot, identity = Symbol('slot pipe') }: SlotPipeOptions = {},
  ) {
    this.#reader = reader.keepInForks();
    this.#writer = writer.keepInForks();
    this.count = count;
    this.#ownSlot = ownSlot;
    this.identity = identity;
    this.#parts = [reader, writer];
    if (ownSlot !== undefined) this.#parts.unshift(ownSlot);
    const fds = [reader.number, writer.number, ownSlot?.ready ?? -1];
    this.#parts.push(noteOpen(fds));
    finalizer.registry.register(this, this.#parts, this);
  }

  /** Borrowed: readable while a slot is free for this process. */
  get ready(): number {
    const ready = this.#ownSlot?.ready ?? -1;
    return ready < 0 ? this.reader : ready;
  }

  /** Borrowed: readable while a slot is free for every process. */
  get reader(): number {
    return this.#reader.number;
  }

  /** Borrowed. */
  get writer(): number {
    return this.#writer.number;
  }

  /** A free slot, or undefined while there is none. */
  tryTake(): Token | undefined {
    if (this.#ownSlot?.tryTake() === true) {
      this.#taken += 1;
      return new Token(noByte, () => this.#giveOwn());
    }
    const byte = native.takeToken(this.reader, this.writer);
    if (byte === -errno.EAGAIN) return undefined;
    check(byte, 'read slot pipe');
    this.#taken += 1;
    const give = (): void => {
      this.#give(byte);
    };
    return new Token(byte, give, [], this.writer);
  }

  /** Takes effect once all tokens that were taken here are back. */
  close(): void {
    this.#isClosed = true;
    this.#closeWhenIdle();
  }

  /**
   * Closes `part` together with the pipe, also when the pipe is collected. The
   * part must not refer to the pipe.
   */
  closeWith(part: Closeable): void {
    if (this.reader < 0) part.close();
    else this.#parts.push(part);
  }

  #give(byte: number): void {
    check(native.returnToken(this.writer, byte), 'write slot pipe');
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
    finalizer.registry.unregister(this);
    closeAll(this.#parts);
  }
}

interface Finalizer {
  /** Closes the pipe of a Jobserver that is collected without being closed. */
  readonly registry: FinalizationRegistry<Closeable[]>;
  /** Those of all open pipes. */
  readonly fds: Set<number>;
}

// It lies on the global object, because a registry that is collected together
// with its copy of this module calls nothing. Nor does one that is collected
// together with its vm context: then the main realm closes the fds.
const key = Symbol.for('jobserver.finalizer');
const globals = globalThis as typeof globalThis & { [key]?: Finalizer };
const finalizer = (globals[key] ??= openFinalizer());

function openFinalizer(): Finalizer {
  const registry = new FinalizationRegistry(closeAll);
  const closeWith = mainValue<(owner: object, native: object) => Set<number>>(
    'jobserver.closeWith',
    `(() => {
      const registry = new FinalizationRegistry(({ fds, native }) => {
        for (const fd of fds) native.close(fd);
      });
      return (owner, native) => {
        const fds = new Set();
        registry.register(owner, { fds, native });
        return fds;
      };
    })()`,
  );
  return { registry, fds: closeWith(registry, native) };
}

/** Its `close` comes in the same turn as that of the fds. */
function noteOpen(fds: readonly number[]): Closeable {
  for (const fd of fds) if (fd >= 0) finalizer.fds.add(fd);
  return {
    close: () => {
      for (const fd of fds) finalizer.fds.delete(fd);
    },
  };
}

function closeAll(parts: Closeable[]): void {
  for (const part of parts.splice(0)) part.close();
}
