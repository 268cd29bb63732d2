// The socket of one end of a channel. Messages go out at once, or when the socket has
// room again; nothing waits, and nothing is dropped while the other end lives. A
// message is a frame of the kind 'report'. The frame behind the last one is an outcome:
// it says that the other end was closed, and not lost.
import { Enclosures } from '../memory/enclosures.js';
import { errno, native, pollEvents } from '../system/binding.js';
import { Fd, duplicate, noFds } from '../system/fd.js';
import { Link, List } from '../system/list.js';
import { selector } from '../system/selector.js';
import { encode } from '../wire/value.js';
import { type ReportFrame, packFrame } from './frame.js';
import { type Busy, workerState } from './worker-state.js';
import { FrameReader, prepareReader } from './frame-reader.js';

/** How the other end has ended. */
export type PortEnd = 'closed' | 'gone' | 'broken';

export interface SocketEvents {
  onReports(messages: readonly ReportFrame[]): void;
  onEnd(end: PortEnd): void;
  /** All that was queued is sent, or never will be. */
  onFlushed(): void;
}

/** What is still to be sent of a message. */
interface Outgoing {
  bytes: Buffer;
  files: Int32Array;
  readonly enclosures?: Enclosures | undefined;
}

export class PortSocket implements Busy {
  readonly #fd: Fd;
  readonly #events: SocketEvents;
  readonly #reader: FrameReader;
  #isReading = false;
  readonly #queue = new List<Outgoing>();
  /** A duplicate, because a set has each fd once. */
  #output = new Fd(-1);
  #isWaiting = false;
  #queuedBytes = 0;
  /** The other end reads no more. */
  #isCut = false;
  /** Those who wait until nothing is queued. */
  readonly #waiting: (() => void)[] = [];

  /** Takes over the fd. */
  constructor(fd: Fd, events: SocketEvents) {
    this.#fd = fd;
    this.#events = events;
    this.#reader = new FrameReader(events);
    prepareReader(fd.number);
  }

  /** Its fd, for another owner. Nothing has been read, and nothing is queued. */
  disown(): Fd {
    return new Fd(this.#fd.disown());
  }

  /** Bytes that wait for room in the socket. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Whether the other end takes nothing any more. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** Whether the other end is gone; there may still be messages. */
  get isHungUp(): boolean {
    const fds = Int32Array.of(this.#fd.number, 0);
    const gone = pollEvents.error | pollEvents.hangUp;
    return native.poll(fds, 1, 0) > 0 && ((fds[1]! >> 16) & gone) !== 0;
  }

  read(on: boolean): void {
    if (on === this.#isReading) return;
    this.#isReading = on;
    if (!on) selector.remove(this.#fd.number);
    else selector.add(this.#fd.number, () => this.#read());
  }

  #read(): void {
    const outcome = this.#reader.read(this.#fd.number);
    if (outcome === undefined) return;
    this.read(false);
    if (outcome !== 'end') this.#events.onEnd('closed');
    else this.#events.onEnd(this.#reader.isBroken ? 'broken' : 'gone');
  }

  /** Throws for a value that cannot be sent. */
  send(value: unknown): void {
    let enclosures: Enclosures | undefined;
    const content = encode(value, 'message', undefined, (ranges) => {
      enclosures = new Enclosures();
      return enclosures.note(ranges);
    });
    const files = enclosures === undefined ? noFds : filesOf(enclosures);
    const [first, rest] = packFrame('report', content, files.length);
    this.#put({ bytes: first, files, enclosures }, true);
    if (rest !== undefined) this.#put({ bytes: rest, files: noFds });
  }

  /** Closes the socket once everything is sent. */
  close(): void {
    this.read(false);
    this.#put({ bytes: packFrame('value', '', 0)[0], files: noFds }, true);
    if (this.#queue.size === 0) this.drop();
    else void this.drain().then(() => this.drop());
  }

  /** A job ends only when all is sent. See `Busy`. */
  get running(): number {
    return this.#queue.size;
  }

  refuse(): void {}

  /** Waits, and keeps the event loop alive, until nothing is queued. */
  async drain(): Promise<void> {
    if (this.#queue.size === 0) return;
    selector.hold();
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    selector.release();
  }

  /** Closes the socket at once. */
  drop(): void {
    this.read(false);
    this.#cut();
    this.#reader.close();
    this.#fd.close();
  }

  /** `isBorrowed`: the bytes are valid only now. */
  #put(message: Outgoing, isBorrowed = false): void {
    const isFirst = this.#queue.size === 0;
    const sent = isFirst ? this.#sendSome(message) : 0;
    if (sent === message.bytes.length || this.#isCut) {
      message.enclosures?.end();
      return;
    }
    shorten(message, sent);
    if (isBorrowed) message.bytes = Buffer.from(message.bytes);
    this.#queue.add(new Link<Outgoing>(message));
    this.#queuedBytes += message.bytes.length;
    if (isFirst) this.#awaitRoom();
  }

  /** How many bytes were sent. */
  #sendSome({ bytes, files }: Outgoing): number {
    if (this.#isCut) return 0;
    const { number } = this.#fd;
    const count =
      files.length === 0
        ? native.write(number, bytes, 0, bytes.length)
        : native.sendFds(number, bytes, files);
    if (count >= 0) return count;
    // Too many files of this user may be on their way; see `sendFds`.
    if (count === -errno.EAGAIN || count === -errno.EMFILE) return 0;
    this.#isCut = true;
    return 0;
  }

  #awaitRoom(): void {
    this.#isWaiting = true;
    workerState.busy.add(this);
    try {
      this.#output = duplicate(this.#fd.number);
      selector.addOutput(this.#output.number, this.#flush);
    } catch {
      // No descriptor is free, or the kernel refuses.
      selector.poll(this.#flush);
    }
  }

  readonly #flush = (): void => {
    for (let first; (first = this.#queue.first) !== undefined;) {
      const sent = this.#sendSome(first);
      if (this.#isCut) break;
      this.#queuedBytes -= sent;
      shorten(first, sent);
      if (first.bytes.length > 0) return;
      first.enclosures?.end();
      this.#queue.shift();
    }
    this.#cut(false);
  };

  /** Forgets what is queued, if anything, and waits for no room. */
  #cut(isCut = true): void {
    this.#isCut ||= isCut;
    for (const { enclosures } of this.#queue.values()) enclosures?.end();
    this.#queue.clear();
    this.#queuedBytes = 0;
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    selector.stopPolling(this.#flush);
    selector.remove(this.#output.number);
    this.#output.close();
    workerState.busy.delete(this);
    for (const resume of this.#waiting.splice(0)) resume();
    this.#events.onFlushed();
  }
}

/** The numbers of the files, which are borrowed. */
function filesOf(enclosures: Enclosures): Int32Array {
  enclosures.commit();
  try {
    return Int32Array.from(enclosures.send());
  } catch (error) {
    enclosures.end();
    throw error;
  }
}

function shorten(message: Outgoing, sent: number): void {
  if (sent === 0) return;
  message.bytes = message.bytes.subarray(sent);
  // They went along with the first byte.
  message.files = noFds;
}
