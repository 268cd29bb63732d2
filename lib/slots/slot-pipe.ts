// The slot pipe: it holds one byte for each free slot and is shared by every
// process that works under the Jobserver. The process that has made the pipe can
// change the number of its bytes. This file does not know what a token is used for.
import { codedError } from '../errors.js';
import { check, errno, native, systemError } from '../system/binding.js';
import { type Fd, openPipe } from '../system/fd.js';
import { selector } from '../system/selector.js';
import { type Escrow, escrowFor } from './escrow.js';
import { type Closeable, closeAll, finalizer, noteOpen } from './finalizer.js';
import { Token } from './token.js';
import { Trustee } from './trustee.js';

/** The pipe must have room for all tokens at once; PIPE_BUF on Linux. */
export const maxSlots = 4096;

// What GNU Make writes for a slot. Any byte is a token, whatever its value.
const tokenByte = '+'.charCodeAt(0);

// That of a job whose slot is none of the pipe's: there is no byte to give back.
const noByte = -2;

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
  /** In a job: where its escrow is sent; see `Trustee.socket`. */
  readonly trustee?: number | undefined;
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
  /** The process that has made this object; a fork has a copy. */
  readonly #owner = process.pid;
  /** Of the process where the pool begins: this one, or another one whose job this is. */
  readonly #trustee: Trustee | number;
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
      trustee,
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
    this.#trustee = trustee ?? this.#openTrustee();
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
  get #ready(): number {
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

  /** Borrowed: where jobs send their escrow. */
  get trustee(): number {
    const trustee = this.#trustee;
    return typeof trustee === 'number' ? trustee : trustee.socket;
  }

  /** Until `unwatch`, calls `onReady` while a slot is free for this process. */
  watch(onReady: () => void): void {
    selector.add(this.#ready, onReady);
    this.#ownTrustee?.hold();
  }

  unwatch(): void {
    selector.remove(this.#ready);
    this.#ownTrustee?.release();
  }

  /** Whether a turn of the selector may give tokens of killed jobs back. */
  get isTrusted(): boolean {
    return this.#ownTrustee?.isWatching === true;
  }

  /** Borrowed: the lenders of all tokens from here; see `Token`. */
  get lenders(): readonly number[] {
    return this.#escrow?.lenders ?? [];
  }

  /**
   * In a pool of make, which counts its tokens: undefined when none is in escrow; otherwise
   * resolves when that is so.
   */
  settled(): Promise<void> | undefined {
    return this.#maker === 0 ? this.#ownTrustee?.settled() : undefined;
  }

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** A free slot, or undefined while there is none. */
  tryTake(): Token | undefined {
    if (this.#ownSlot?.tryTake() === true) {
      this.#noteTaken();
      return new Token(noByte, () => this.#giveOwn());
    }
    if (this.surplus > 0) this.takeSurplus();
    if (this.surplus > 0) return undefined;
    const escrow = this.#escrow;
    const { writer } = this;
    const byte = native.takeToken(this.reader, writer, escrow?.writer ?? -1);
    if (byte === -errno.EAGAIN) return undefined;
    check(byte, 'read slot pipe');
    this.#noteTaken();
    const give = (): void => this.#give(byte, escrow);
    return new Token(byte, give, escrow?.lenders, writer);
  }

  /** Takes effect once the tokens of this process and those in escrow are back. */
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

  #give(byte: number, escrow: Escrow | undefined): void {
    const from = escrow?.reader ?? -1;
    check(native.returnToken(this.writer, byte, from), 'write slot pipe');
    this.takeSurplus();
    this.#noteGiven();
  }

  get #escrow(): Escrow | undefined {
    const isTrustee = this.#ownTrustee !== undefined;
    return isTrustee ? undefined : escrowFor(this.trustee);
  }

  #openTrustee(): Trustee {
    try {
      const trustee = new Trustee(this.writer);
      this.#parts.push(trustee, noteOpen(trustee.fds));
      return trustee;
    } catch (error) {
      closeAll(this.#parts);
      throw error;
    }
  }

  /** Undefined in a job, which may be a fork of the process with the trustee. */
  get #ownTrustee(): Trustee | undefined {
    const trustee = this.#trustee;
    const isOwn = typeof trustee === 'object' && this.#owner === process.pid;
    return isOwn ? trustee : undefined;
  }

  #giveOwn(): void {
    this.#ownSlot?.give();
    this.#noteGiven();
  }

  #noteTaken(): void {
    this.#taken += 1;
    if (this.#taken === 1) this.#ownTrustee?.hold();
  }

  #noteGiven(): void {
    this.#taken -= 1;
    if (this.#taken > 0) return;
    this.#ownTrustee?.release();
    this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    if (!this.#isClosed || this.#taken > 0) return;
    const settled = this.#ownTrustee?.settled();
    if (settled !== undefined) {
      void settled.then(() => this.#closeWhenIdle());
      return;
    }
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
