// When a job is killed that has taken tokens for jobs of its own, the trustee gives these
// tokens back; see escrow.ts. The selector watches the socket of the trustee while somebody
// holds the trustee, and for a second after that.
import { native, pollEvents } from '../system/binding.js';
import { type Pipe, Fd, openSocketPair } from '../system/fd.js';
import { selector } from '../system/selector.js';

// A Jobserver that runs one job after the other would hold it anew for each.
const idleMs = 1000;

export class Trustee {
  readonly #slotWriter: number;
  /** Jobs send by the writer. */
  readonly #socket: Pipe;
  /** The readers of the escrows whose writer a process still holds. */
  readonly #escrows = new Set<Fd>();
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

  /** Borrowed: where a job sends the reader of its escrow. */
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
    for (const escrow of this.#escrows) this.#look(escrow);
    this.#onEmpty = this.#escrows.size > 0 ? onEmpty : undefined;
    return this.#escrows.size === 0;
  }

  close(): void {
    this.#unwatch();
    this.#socket.reader.close();
    this.#socket.writer.close();
    for (const escrow of this.#escrows) this.#drop(escrow);
  }

  #unwatch(): void {
    if (this.#isWatching) selector.remove(this.#socket.reader.number);
    this.#isWatching = false;
  }

  #receive(): void {
    const fds = new Int32Array(1);
    const byte = new Uint8Array(1);
    const { number } = this.#socket.reader;
    while (number >= 0 && native.receiveFds(number, byte, fds) > 0) {
      // Below 0 when this process has no fds left: then the job has no trustee.
      if (fds[0]! >= 0) this.#keep(new Fd(fds[0]!));
    }
  }

  #keep(escrow: Fd): void {
    const look = (): void => this.#look(escrow);
    try {
      selector.addEnd(escrow.number, look);
      this.#escrows.add(escrow);
      look();
    } catch {
      // The job has no trustee.
      escrow.close();
    }
  }

  #look(escrow: Fd): void {
    if (!hasEnded(escrow.number)) return;
    this.#empty(escrow.number);
    this.#drop(escrow);
    if (this.#escrows.size === 0) this.#onEmpty?.();
  }

  #drop(escrow: Fd): void {
    selector.remove(escrow.number);
    escrow.close();
    this.#escrows.delete(escrow);
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

/** Whether no process has the writer; the pipe may have bytes. */
function hasEnded(reader: number): boolean {
  // macOS reports only what it is asked for.
  const fds = Int32Array.of(reader, pollEvents.hangUp);
  const isReady = native.poll(fds, 1, 0) > 0;
  return isReady && ((fds[1]! >> 16) & pollEvents.hangUp) !== 0;
}
