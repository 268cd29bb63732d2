// When a job is killed that has taken tokens for jobs of its own, the trustee gives these
// tokens back; see escrow.ts. The selector watches the socket of the trustee while somebody
// holds the trustee, and for a second after that.
import { native, pollEvents } from '../system/binding.js';
import { type Pipe, Fd, openSocketPair } from '../system/fd.js';
import { selector } from '../system/selector.js';

// A Jobserver that runs one job after the other would hold it anew for each.
const idleMs = 1000;

/** Of an escrow; `ended`: no process has its writer. */
type State = 'ended' | 'empty' | 'tokens';

export class Trustee {
  readonly #slotWriter: number;
  /** Jobs send by the writer. */
  readonly #socket: Pipe;
  /** The readers of the escrows whose writer a process still holds. */
  readonly #escrows = new Set<Fd>();
  #holds = 0;
  #isWatching = false;
  #isAlarmSet = false;
  #settled: Promise<void> | undefined;
  #onSettled: (() => void) | undefined;

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

  /**
   * Undefined when no token is in escrow. Otherwise resolves when an escrow has ended and
   * none has a token any more; does not keep the event loop alive.
   */
  settled(): Promise<void> | undefined {
    this.#receive();
    let hasTokens = false;
    for (const escrow of this.#escrows) {
      if (this.#look(escrow) === 'tokens') hasTokens = true;
    }
    if (hasTokens) {
      return (this.#settled ??= new Promise((resolve) => {
        this.#onSettled = resolve;
      }));
    }
    this.#onSettled?.();
    this.#settled = undefined;
    this.#onSettled = undefined;
    return undefined;
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
    try {
      selector.addEnd(escrow.number, () => {
        this.#look(escrow);
        if (this.#onSettled !== undefined) void this.settled();
      });
      this.#escrows.add(escrow);
      this.#look(escrow);
    } catch {
      // The job has no trustee.
      escrow.close();
    }
  }

  /** Gives the tokens back if the escrow has ended. */
  #look(escrow: Fd): State {
    const state = stateOf(escrow.number);
    if (state === 'ended') {
      this.#empty(escrow.number);
      this.#drop(escrow);
    }
    return state;
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

function stateOf(reader: number): State {
  const { in: input, hangUp } = pollEvents;
  // macOS reports only what it is asked for.
  const fds = Int32Array.of(reader, input | hangUp);
  const events = native.poll(fds, 1, 0) > 0 ? fds[1]! >> 16 : 0;
  // The pipe may have tokens then.
  if ((events & hangUp) !== 0) return 'ended';
  return (events & input) === 0 ? 'empty' : 'tokens';
}
