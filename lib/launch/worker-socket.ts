// The submitter's end of the socket to a worker that runs several jobs: orders go
// out, without waiting; reports come in.
import { Arrivals } from '../memory/arrivals.js';
import { SegmentPool } from '../memory/segment-pool.js';
import type { Stdio } from '../output/plan.js';
import type { Order } from '../protocol/order.js';
import {
  type Message,
  MessageReader,
  MessageWriter,
  type OutgoingMessage,
  openMessageSockets,
} from '../protocol/messages.js';
import { surroundingsOf } from '../protocol/surroundings.js';
import { packCall } from '../protocol/worker-messages.js';
import { check, native, pollEvents } from '../system/binding.js';
import type { Fd } from '../system/fd.js';
import { selector } from '../system/selector.js';
import { trace } from '../system/trace.js';

// Numbers of jobs stay within this, and are re-used.
const mostNumber = 2 ** 30;

// Each fills the buffer of the reader: together, more than a socket holds.
const mostReads = 64;

export class WorkerSocket {
  /** The end of the worker. */
  readonly peer: Fd;
  readonly #own: Fd;
  readonly #reader = new MessageReader();
  readonly #writer = new MessageWriter();
  /** For the large buffers of calls. */
  readonly #pool = new SegmentPool();
  /** The large buffers of results. */
  readonly arrivals = new Arrivals(true);
  readonly #onReady: () => void;
  readonly #onMessage: (message: Message) => void;
  #number = 0;
  /** Those that were sent last. A message has only what differs from them. */
  #head: Buffer | undefined;
  #surroundings: Buffer | undefined;
  #isOver = false;

  /** `onReady` is to call `read`, which calls `onMessage`. */
  constructor(onReady: () => void, onMessage: (message: Message) => void) {
    this.#onReady = onReady;
    this.#onMessage = onMessage;
    const { own, peer } = openMessageSockets();
    this.#own = own;
    this.peer = peer;
    try {
      check(native.setNonBlocking(own.number, true), 'prepare a socket');
      selector.add(own.number, onReady);
    } catch (error) {
      peer.close();
      this.close();
      throw error;
    }
  }

  /** Borrowed; -1 once closed. */
  get fd(): number {
    return this.#own.number;
  }

  /** No more will come. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The worker has sent what this library does not send. */
  get isBroken(): boolean {
    return this.#reader.isBroken;
  }

  /** Whether messages are still to be read. */
  get hasMore(): boolean {
    if (this.#isOver || this.#reader.isReading) return !this.#isOver;
    return native.poll(Int32Array.of(this.fd, pollEvents.in), 1, 0) > 0;
  }

  /** The number that was used last. */
  get lastNumber(): number {
    return this.#number;
  }

  /** A number for the next order. */
  nextNumber(): number {
    this.#number = (this.#number % mostNumber) + 1;
    return this.#number;
  }

  /**
   * Keeps an order until `flush`. The number of its bytes; 0 when it is too
   * large, or no room is left. `byte`: that of its token.
   */
  add(job: number, order: Order, byte: number): number {
    if (order.enclosures !== undefined) return 0;
    const surroundings = surroundingsOf(order);
    const hasOutput = false;
    const message = this.#pack({ job, order, byte, surroundings, hasOutput });
    const length = this.#writer.add(message);
    if (length > 0) this.#remember(order, surroundings);
    return length;
  }

  /** Keeps an order until `flush`, or sends it if it cannot; false as `flush`. */
  give(job: number, order: Order, byte: number, stdio?: Stdio): boolean {
    if (stdio === undefined && this.add(job, order, byte) > 0) return true;
    return this.#send(job, order, byte, stdio);
  }

  #send(job: number, order: Order, byte: number, stdio?: Stdio): boolean {
    if (this.#isOver) return false;
    try {
      const surroundings = surroundingsOf(order);
      const hasOutput = stdio !== undefined;
      const message = this.#pack({ job, order, byte, surroundings, hasOutput });
      this.#remember(order, surroundings);
      let enclosures = order.enclosures?.send(this.#pool);
      if (hasOutput) {
        enclosures = [...(enclosures ?? []), stdio.stdout, stdio.stderr];
      }
      return this.#writer.send(this.fd, { ...message, enclosures }, false);
    } catch (error) {
      trace('a message to a worker could not be sent: %s', error);
      return false;
    }
  }

  /**
   * False when the worker does not read, or the file of a large message cannot
   * be written. The worker is to be ended then.
   */
  flush(): boolean {
    return this.#writer.flush(this.fd, false);
  }

  /** Reads what the buffer has room for, and of a large message a part. */
  read(): void {
    this.#readOnce(false);
  }

  /**
   * Reads what was sent before this call, until `isEnough`. A process that goes on
   * sending cannot keep this thread here.
   */
  readSent(isEnough: () => boolean): void {
    for (let i = 0; i < mostReads && !isEnough(); i++) {
      if (!this.#readOnce(true)) return;
    }
  }

  /** Reads all that is there. */
  readToEnd(): void {
    while (this.#readOnce(true));
  }

  /** False when there is no more. */
  #readOnce(toEnd: boolean): boolean {
    if (this.#isOver) return false;
    const isOpen = this.#reader.fill(this.fd);
    const { isFull } = this.#reader;
    do {
      for (let message; (message = this.#reader.next());) {
        this.#onMessage(message);
        // What `onMessage` has used is closed already.
        for (const file of message.enclosures) file.close();
        if (this.#isOver) return false;
      }
    } while (this.#reader.isReading && (toEnd || !isOpen));
    // The rest of a large message is read in the next turns of the event loop.
    if (this.#reader.isReading) selector.poll(this.#onReady);
    else selector.stopPolling(this.#onReady);
    if (isOpen) return isFull;
    this.#isOver = true;
    selector.remove(this.fd);
    return false;
  }

  close(): void {
    this.#isOver = true;
    selector.stopPolling(this.#onReady);
    selector.remove(this.fd);
    this.#own.close();
    this.#reader.close();
    this.#pool.close();
    this.arrivals.close();
  }

  #pack({
    job,
    order,
    byte,
    surroundings,
    hasOutput,
  }: {
    readonly job: number;
    readonly order: Order;
    readonly byte: number;
    readonly surroundings: Buffer;
    readonly hasOutput: boolean;
  }): OutgoingMessage {
    const [head, args = '', preexecArgs = ''] = order.body;
    return packCall(job, {
      token: byte,
      head: head === this.#head ? undefined : head,
      surroundings:
        surroundings === this.#surroundings ? undefined : surroundings,
      args,
      preexecArgs,
      hasOutput,
    });
  }

  #remember(order: Order, surroundings: Buffer): void {
    [this.#head] = order.body;
    this.#surroundings = surroundings;
  }
}
