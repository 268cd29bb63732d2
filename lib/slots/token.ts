// A slot that this process holds.
import { native } from '../system/binding.js';

/** The `byte` of a job that takes no slot. */
export const noSlot = -1;

const noWord: Int32Array = new Int32Array(0);

/**
 * One slot, held. It has one owner at a time, who gives it back once or moves
 * it to the next owner. A function with a parameter of this type takes the
 * token over; a function that borrows it takes the byte.
 */
export class Token {
  readonly byte: number;
  /**
   * The writer of the escrow that the token is in, if there is one, and the result
   * sockets of the jobs that lend the slot. The worker keeps them open, because the
   * trustee, or the submitter of a lender, gives the token back at their end.
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

  /** Whether it is the slot of a job that waits. */
  get isLent(): boolean {
    return this.lenders.length > 0 && this.#slotFd < 0;
  }

  /** For a job that takes no slot, or a process that gets its tokens later. */
  static none(lenders: readonly number[] = []): Token {
    return new Token(noSlot, () => undefined, lenders);
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
