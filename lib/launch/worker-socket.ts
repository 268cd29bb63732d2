// The submitter's end of the socket to a worker that runs several jobs: orders go
// out, without waiting; reports come in.
import { type Order, packHeader } from '../protocol/order.js';
import {
  type Message,
  MessageReader,
  type OutgoingMessage,
  openMessageSockets,
  sendMessage,
  sendSmall,
} from '../protocol/messages.js';
import { surroundingsOf } from '../protocol/surroundings.js';
import { check, native } from '../system/binding.js';
import type { Fd } from '../system/fd.js';
import { selector } from '../system/selector.js';
import { trace } from '../system/trace.js';

// Numbers of jobs stay within this, and are re-used.
const mostNumber = 2 ** 30;

export class WorkerSocket {
  /** The end of the worker. */
  readonly peer: Fd;
  readonly #own: Fd;
  readonly #reader = new MessageReader();
  readonly #onReady: () => void;
  readonly #onMessage: (message: Message) => void;
  /** The number of the last order. */
  #number = 0;
  /** The surroundings that the worker has been sent last. */
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

  /** An order with the next number, for a slot of this byte. */
  pack(order: Order, byte: number): OutgoingMessage {
    this.#number = (this.#number % mostNumber) + 1;
    const surroundings = surroundingsOf(order);
    const isKnown = surroundings === this.#surroundings;
    this.#surroundings = surroundings;
    const parts = isKnown ? order.body : [...order.body, surroundings];
    const header = packHeader({ byte, lenders: [] }, parts);
    return { kind: 0, job: this.#number, parts: [header, ...parts] };
  }

  /** Called when an order that was packed is not sent. */
  drop(): void {
    this.#surroundings = undefined;
  }

  /**
   * False when the worker does not read, or the file of a large message cannot
   * be written. The worker is to be ended then.
   */
  send(message: OutgoingMessage): boolean {
    if (this.#isOver) return false;
    try {
      return sendMessage(this.fd, message, false);
    } catch (error) {
      trace('a message to a worker could not be sent: %s', error);
      return false;
    }
  }

  /** Does the same for messages that are not too large. */
  sendSmall(messages: readonly OutgoingMessage[]): boolean {
    return !this.#isOver && sendSmall(this.fd, messages);
  }

  /** Reads what is there; of a large message, a part unless `toEnd`. */
  read(toEnd = false): void {
    if (this.#isOver) return;
    const isOpen = this.#reader.fill(this.fd);
    do {
      for (let message; (message = this.#reader.next());) {
        this.#onMessage(message);
        if (this.#isOver) return;
      }
    } while (this.#reader.isReading && (toEnd || !isOpen));
    // The rest of a large message is read in the next turns of the event loop.
    if (this.#reader.isReading) selector.poll(this.#onReady);
    else selector.stopPolling(this.#onReady);
    if (isOpen) return;
    this.#isOver = true;
    selector.remove(this.fd);
  }

  close(): void {
    this.#isOver = true;
    selector.stopPolling(this.#onReady);
    selector.remove(this.fd);
    this.#own.close();
    this.#reader.close();
  }
}
