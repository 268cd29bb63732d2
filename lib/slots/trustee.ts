// Gives the tokens of jobs back that were killed while they had jobs of their own; see
// escrow.ts. It is in the selector while it is held, and for a moment after that.
import { native } from '../system/binding.js';
import { type Pipe, Fd, isHeld, openSocketPair } from '../system/fd.js';
import { selector } from '../system/selector.js';

// A Jobserver that runs one job after the other would hold it anew for each.
const idleMs = 1000;

export class Trustee {
  readonly #slotWriter: number;
  /** Jobs send by the writer. */
  readonly #socket: Pipe;
  /** The escrow of each lifeline that has not ended. */
  readonly #escrows = new Map<Fd, Fd>();
  #holds = 0;
  #isWatching = false;
  #isAlarmSet = false;
  #onEmpty: (() => void) | undefined;

  /** `slotWriter`: borrowed. */
  constructor(slotWriter: number) {
    this.#slotWriter = slotWriter;
    this.#socket = openSocketPair('the socket of a trustee', true);
    this.#socket.writer.keepInForks();
  }

  get fds(): readonly number[] {
    return [this.#socket.reader.number, this.#socket.writer.number];
  }

  /** Borrowed: where a job sends its escrow and its lifeline. */
  get socket(): number {
    return this.#socket.writer.number;
  }

  /** Whether it is in the selector, whose turn may give tokens back. */
  get isWatching(): boolean {
    return this.#isWatching;
  }

  /** While there are jobs, or calls that wait for a slot. */
  hold(): void {
    this.#holds += 1;
    if (this.#isWatching) return;
    const { number } = this.#socket.reader;
    this.#isWatching = selector.tryAdd(number, () => this.#receive());
  }

  /** Called as often as `hold`. */
  release(): void {
    this.#holds -= 1;
    if (this.#holds > 0 || this.#isAlarmSet) return;
    this.#isAlarmSet = true;
    selector.alarm(idleMs, () => {
      this.#isAlarmSet = false;
      if (this.#holds === 0) this.#unwatch();
    });
  }

  /** Whether no job has an escrow. Otherwise, `onEmpty` is called when none has. */
  isEmpty(onEmpty: () => void): boolean {
    this.#receive();
    for (const lifeline of this.#escrows.keys()) this.#look(lifeline);
    this.#onEmpty = this.#escrows.size > 0 ? onEmpty : undefined;
    return this.#escrows.size === 0;
  }

  close(): void {
    this.#unwatch();
    this.#socket.reader.close();
    this.#socket.writer.close();
    for (const lifeline of this.#escrows.keys()) this.#drop(lifeline);
  }

  #unwatch(): void {
    if (this.#isWatching) selector.remove(this.#socket.reader.number);
    this.#isWatching = false;
  }

  #receive(): void {
    const fds = new Int32Array(2);
    const byte = new Uint8Array(1);
    const { number } = this.#socket.reader;
    while (number >= 0 && native.receiveFds(number, byte, fds) > 0) {
      // Below 0 when this process has no fds left: then the job has no trustee.
      if (fds[1]! >= 0) this.#keep(new Fd(fds[0]!), new Fd(fds[1]!));
    }
  }

  #keep(escrow: Fd, lifeline: Fd): void {
    this.#escrows.set(lifeline, escrow);
    const look = (): void => this.#look(lifeline);
    // Otherwise the job has no trustee.
    if (selector.tryAdd(lifeline.number, look)) look();
    else this.#drop(lifeline);
  }

  #look(lifeline: Fd): void {
    const escrow = this.#escrows.get(lifeline);
    if (escrow === undefined || isHeld(lifeline.number)) return;
    this.#empty(escrow.number);
    this.#drop(lifeline);
    if (this.#escrows.size === 0) this.#onEmpty?.();
  }

  #drop(lifeline: Fd): void {
    selector.remove(lifeline.number);
    lifeline.close();
    this.#escrows.get(lifeline)?.close();
    this.#escrows.delete(lifeline);
  }

  #empty(escrow: number): void {
    const tokens = new Uint8Array(64);
    for (;;) {
      const count = native.read(escrow, tokens, 0, tokens.length);
      if (count <= 0) return;
      native.write(this.#slotWriter, tokens, 0, count);
    }
  }
}
