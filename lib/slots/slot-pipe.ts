// The slot pipe: it holds one byte for each free slot and is shared by every
// process that works under the Jobserver. The process that has made the pipe can
// change the number of its bytes. This file does not know what a token is used for.
import { codedError } from '../errors.js';
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
   * If this thread ends before the reader of the job's result socket is closed, the
   * processes at the other end give the token back. `word`: that of their claims.
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
  /** Whether this process has made the pipe. */
  readonly isMaker?: boolean | undefined;
}

export class SlotPipe {
  readonly #reader: Fd;
  readonly #writer: Fd;
  readonly #ownSlot: OwnSlot | undefined;
  #count: number | undefined;
  /** How many bytes more than `count` there are, in the pipe or as tokens. */
  #surplus = 0;
  /** The process that has made the pipe; 0: another one. */
  readonly #maker: number;
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
      fill(writer, count);
    } catch (error) {
      reader.close();
      writer.close();
      throw error;
    }
    return new SlotPipe(reader, writer, count, { isMaker: true });
  }

  /** Takes over both ends and the own slot. */
  constructor(
    reader: Fd,
    writer: Fd,
    count: number | undefined,
    {
      ownSlot,
      identity = Symbol('slot pipe'),
      isMaker = false,
    }: SlotPipeOptions = {},
  ) {
    this.#reader = reader.keepInForks();
    this.#writer = writer.keepInForks();
    this.#count = count;
    this.#maker = isMaker ? process.pid : 0;
    this.#ownSlot = ownSlot;
    this.identity = identity;
    this.#parts = [reader, writer];
    if (ownSlot !== undefined) this.#parts.unshift(ownSlot);
    const fds = [reader.number, writer.number, ownSlot?.ready ?? -1];
    this.#parts.push(noteOpen(fds));
    finalizer.registry.register(this, this.#parts, this);
  }

  /** The number of slots; undefined where the maker of the pipe did not say. */
  get count(): number | undefined {
    return this.#count;
  }

  /** How many bytes are still to be taken out after the pipe was made smaller. */
  get surplus(): number {
    // A fork of the maker has a copy of the number.
    const hasAny = this.#surplus > 0 && this.#maker === process.pid;
    return hasAny ? this.#surplus : 0;
  }

  /**
   * Changes the number of slots. Bytes that become surplus are taken out of the
   * pipe: at once if they are there, otherwise when they come back.
   */
  resize(count: number): void {
    if (this.#maker !== process.pid) {
      throw codedError(
        'ERR_JOBSERVER_JOINED',
        'This Jobserver has joined a pool that another process has made, and only ' +
          'that one can resize it',
      );
    }
    const missing = count - this.#count! - this.#surplus;
    if (missing > 0) fill(this.#writer, missing);
    this.#surplus = Math.max(0, -missing);
    this.#count = count;
    this.takeSurplus();
  }

  /** Takes out surplus bytes that are in the pipe. */
  takeSurplus(): void {
    const { surplus } = this;
    if (surplus === 0) return;
    // They are gone with this read, and no token of this thread: if the process or
    // the thread ends at any moment, nobody gives them back.
    const count = native.read(this.reader, new Uint8Array(surplus), 0, surplus);
    if (count === -errno.EAGAIN) return;
    this.#surplus -= check(count, 'read slot pipe');
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

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** A free slot, or undefined while there is none. */
  tryTake(): Token | undefined {
    if (this.#ownSlot?.tryTake() === true) {
      this.#taken += 1;
      return new Token(noByte, () => this.#giveOwn());
    }
    if (this.surplus > 0) this.takeSurplus();
    if (this.surplus > 0) return undefined;
    const byte = native.takeToken(this.reader, this.writer);
    if (byte === -errno.EAGAIN) return undefined;
    check(byte, 'read slot pipe');
    this.#taken += 1;
    const give = (): void => this.#give(byte);
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
    this.takeSurplus();
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

/** Adds bytes. The pipe has room for them. */
function fill(writer: Fd, count: number): void {
  const tokens = Buffer.alloc(count, tokenByte);
  const written = native.write(writer.number, tokens, 0, count);
  if (written === count) return;
  throw systemError(Math.min(written, -1), 'fill slot pipe');
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
