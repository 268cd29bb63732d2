// One end of a channel, as users have it. An end that is passed to a job leaves this
// process: its socket goes with the job. It reads only while somebody wants messages,
// and keeps the event loop alive only then, and only if the other end is elsewhere.
import { EventEmitter } from 'node:events';
import { setImmediate } from 'node:timers';
import { inspect } from 'node:util';
import { codedError } from '../errors.js';
import { Fd } from '../system/fd.js';
import { selector } from '../system/selector.js';
import { decode, sendable } from '../wire/value.js';
import type { ReportFrame } from './frame.js';
import { type PortEnd, PortSocket } from './port-socket.js';
import { workerState } from './worker-state.js';

/** The events of a {@link JobPort}, with the arguments of their listeners; see {@link channel}. */
export interface PortEvents {
  /** A value that the other end has posted. */
  message: [value: unknown];
  /** A message that cannot be made again here. */
  messageerror: [error: Error];
  /** `postMessage` has returned false, and now there is room again. */
  drain: [];
  /** Once: no more messages will come. */
  close: [error: Error | undefined];
}

/** What ports among the arguments add to an order. */
export interface PortAttachments {
  readonly ports: JobPort[];
}

/** What only the library itself may do with a port. */
interface PortControl {
  /** Takes over the two ends of a socket pair. */
  pair(one: Fd, other: Fd): [JobPort, JobPort];
  /** Takes the socket out of it. */
  detach(port: JobPort): SentPort;
  /** In a job: takes over the fd. */
  receive(fd: number): JobPort;
}

export let portControl: PortControl;

/** A port on its way to a job. */
export class SentPort {
  readonly #fd: Fd;
  readonly #onGone: (error: Error | undefined) => void;

  /** Takes over the fd. `onGone`: the job is over. */
  constructor(fd: Fd, onGone: (error: Error | undefined) => void) {
    this.#fd = fd;
    this.#onGone = onGone;
  }

  /** Borrowed. */
  get fd(): number {
    return this.#fd.number;
  }

  /** The job is over, or never began. `error`: why it has no result. */
  end(error: Error | undefined): void {
    if (this.#fd.number < 0) return;
    this.#fd.close();
    this.#onGone(error);
  }
}

/** A message, or why it cannot be made again here. */
interface Arrived {
  readonly value?: unknown;
  readonly error?: Error;
}

/** An iteration, with the messages that it has not yielded. */
interface Reader {
  readonly arrived: Arrived[];
  wake: () => void;
}

// Above that, `postMessage` returns false.
const highWaterMark = 64 << 10;

/** Closes the socket of each port that was collected as garbage. */
const collected = new FinalizationRegistry<Fd>((fd) => {
  fd.close();
});

const constructorKey = Symbol('constructor');

// Structured clone rejects an object with a function as a property.
const notCloneable = (): never => {
  throw new Error('A JobPort can be sent to a job only');
};

/**
 * One end of a {@link channel}. It is used like a MessagePort, and is an EventEmitter
 * with these events:
 *
 * - `'message'`, with a value that the other end has posted;
 * - `'messageerror'`, with the error, for one that cannot be made again here;
 * - `'drain'`: `postMessage` has returned false, and now there is room again;
 * - `'close'`, once: no more messages will come. With an error when the other end was
 *   passed to a job that was lost or ended, or when it has sent what is no message.
 *
 * Messages arrive while there is a listener to `'message'`, or an iteration; before
 * that, they wait. Then the port keeps the event loop alive, unless `unref` was
 * called, or the other end is in this process. See {@link channel} for an example.
 */
// Those of Node that a user listens to are EventEmitters.
// eslint-disable-next-line no-restricted-syntax
export class JobPort
  extends EventEmitter<PortEvents>
  implements AsyncIterable<unknown>, Disposable
{
  static {
    portControl = {
      pair: (...ends) => {
        const [one, other] = ends.map((fd) => new JobPort(constructorKey, fd));
        one!.#partner = other;
        other!.#partner = one;
        return [one!, other!];
      },
      detach: (port) => port.#detach(),
      receive: (fd) => new JobPort(constructorKey, new Fd(fd)),
    };
  }

  /** Undefined once it has closed, or was passed to a job. */
  #socket: PortSocket | undefined;
  /** The other end, while it is in this process as well. */
  #partner: JobPort | undefined;
  /** How it has ended. */
  #end: { readonly error: Error | undefined } | undefined;
  #isDetached = false;
  /** `close` was called here. */
  #isClosed = false;
  /** Why the job that has the other end has no result. */
  #loss: Error | undefined;
  #isReffed = true;
  #isHolding = false;
  #hasRead = false;
  /** `postMessage` has returned false. */
  #isFull = false;
  #listeners = 0;
  readonly #readers = new Set<Reader>();
  readonly #generation = workerState.generation;

  /** @internal */
  readonly notCloneable = notCloneable;

  /** @internal */
  constructor(key: symbol, fd: Fd) {
    if (key !== constructorKey) throw new TypeError('Illegal constructor');
    super();
    this.#socket = new PortSocket(fd, {
      onReports: (messages) => this.#onMessages(messages),
      onEnd: (end) => this.#onEnd(end),
      onFlushed: () => this.#onFlushed(),
    });
    collected.register(this, fd, this);
    const count = (change: number) => (name: unknown) => {
      if (name !== 'message') return;
      this.#listeners += change;
      this.#update();
    };
    const emitter = this as EventEmitter;
    emitter.on('newListener', count(1));
    emitter.on('removeListener', count(-1));
  }

  /**
   * Sends a value to the other end. It travels as the arguments of a job do. Does
   * nothing once the port has closed. See {@link channel} for an example.
   *
   * @returns false when the value has to wait with many others for room: it is
   * best to wait for `'drain'` then. False, too, once the port has closed.
   * @throws TypeError with code ERR_JOBSERVER_NOT_SERIALIZABLE; Error with code
   * ERR_JOBSERVER_PORT when the port was passed to a job.
   */
  postMessage(value: unknown): boolean {
    this.#check();
    const socket = this.#socket;
    if (socket === undefined) return false;
    socket.send(value);
    if (socket.isCut) {
      // A reader gets what has arrived first.
      if (!this.#isReading) this.#onEnd('gone');
      return false;
    }
    if (socket.queuedBytes === 0) return true;
    this.#hold();
    if (socket.queuedBytes < highWaterMark) return true;
    this.#isFull = true;
    return false;
  }

  /**
   * Ends both ends: the other one gets what was posted before, and this one nothing
   * more. May be called twice. See {@link channel} for an example.
   */
  close(): void {
    this.#check();
    const socket = this.#socket;
    this.#isClosed = true;
    for (const { arrived } of this.#readers) arrived.length = 0;
    this.#finish(undefined);
    socket?.close();
  }

  /** {@link JobPort.close}, as `using` calls it. See {@link channel}. */
  [Symbol.dispose](): void {
    if (!this.#isDetached) this.close();
  }

  /** Undoes {@link JobPort.unref}. See {@link channel}. */
  ref(): this {
    this.#isReffed = true;
    this.#hold();
    return this;
  }

  /** From now on, it does not keep the event loop alive. See {@link channel}. */
  unref(): this {
    this.#isReffed = false;
    this.#hold();
    return this;
  }

  /**
   * Yields the messages until the port closes. Throws the error of `'close'` then, and
   * that of a message that cannot be made again here. Leaving the loop leaves the
   * port open. While the reader is busy, the other end has to wait. See
   * {@link channel} for an example.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<unknown, void> {
    this.#check();
    const reader: Reader = { arrived: [], wake: () => undefined };
    this.#readers.add(reader);
    try {
      for (;;) {
        const next = reader.arrived.shift();
        if (next !== undefined) {
          if (next.error !== undefined) throw next.error;
          yield next.value;
        } else if (this.#end !== undefined) {
          if (this.#end.error !== undefined) throw this.#end.error;
          return;
        } else {
          const arrival = new Promise<void>((resolve) => {
            reader.wake = resolve;
          });
          this.#update();
          await arrival;
        }
      }
    } finally {
      this.#readers.delete(reader);
      this.#update();
    }
  }

  /** @internal */
  [sendable]({ ports }: PortAttachments): { port: number } {
    this.#check();
    const obstacle = this.#obstacle;
    if (obstacle !== undefined)
      throw codedError('ERR_JOBSERVER_PORT', obstacle);
    const known = ports.indexOf(this);
    return { port: known < 0 ? ports.push(this) - 1 : known };
  }

  /** @internal */
  [inspect.custom](): string {
    const state = this.#isDetached ? 'detached' : this.#end ? 'closed' : 'open';
    return `JobPort(${state})`;
  }

  #check(): void {
    if (this.#generation !== workerState.generation) {
      const text =
        'A JobPort belongs to the process that has it, not to a fork of it';
      throw codedError('ERR_JOBSERVER_PORT', text);
    }
    if (!this.#isDetached) return;
    const text = 'The JobPort was passed to a job, which has it now';
    throw codedError('ERR_JOBSERVER_PORT', text);
  }

  /** Why it cannot be passed on. */
  get #obstacle(): string | undefined {
    if (this.#socket === undefined) return 'it is closed';
    if (this.#hasRead) return 'it has been read from here';
    if (this.#socket.queuedBytes === 0) return undefined;
    return "what was posted is still on its way: wait for 'drain'";
  }

  #detach(): SentPort {
    const fd = this.#socket!.disown();
    collected.unregister(this);
    this.#socket = undefined;
    this.#isDetached = true;
    this.#hold();
    const partner = this.#partner;
    this.#partner = undefined;
    if (partner === undefined) return new SentPort(fd, () => undefined);
    partner.#partner = undefined;
    partner.#hold();
    return new SentPort(fd, (error) => {
      partner.#onGone(error);
    });
  }

  /** The job that had the other end is over. */
  #onGone(error: Error | undefined): void {
    this.#loss = error;
    // A reader finds the end behind the messages. A job of the job may live on.
    if (!this.#isReading && this.#socket?.isHungUp === true)
      this.#onEnd('gone');
  }

  get #isReading(): boolean {
    if (this.#socket === undefined) return false;
    if (this.#listeners > 0) return true;
    for (const { arrived } of this.#readers) {
      if (arrived.length === 0) return true;
    }
    return false;
  }

  /** Starts or stops reading. */
  #update(): void {
    const isReading = this.#isReading;
    this.#hasRead ||= isReading;
    this.#socket?.read(isReading);
    this.#hold();
  }

  /** Keeps the event loop alive, or does not. */
  #hold(): void {
    const socket = this.#socket;
    const isUsed = this.#isReading || (socket?.queuedBytes ?? 0) > 0;
    const holds = isUsed && this.#isReffed && this.#partner === undefined;
    if (holds === this.#isHolding) return;
    this.#isHolding = holds;
    if (holds) selector.hold();
    else selector.release();
  }

  #onMessages(messages: readonly ReportFrame[]): void {
    const arrived = messages.map(arrivalOf);
    for (const reader of this.#readers) {
      reader.arrived.push(...arrived);
      reader.wake();
    }
    if (this.#listeners === 0) {
      this.#update();
      return;
    }
    // After the handlers of this turn.
    selector.later(() => {
      for (const { value, error } of arrived) {
        if (this.#isClosed) return;
        if (error === undefined) this.#emit('message', value);
        else this.#emit('messageerror', error);
      }
    });
  }

  #onFlushed(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#hold();
    if (socket.isCut) {
      if (!this.#isReading) this.#onEnd('gone');
    } else if (this.#isFull) {
      this.#isFull = false;
      selector.later(() => {
        this.#emit('drain');
      });
    }
  }

  #onEnd(end: PortEnd): void {
    const text = 'The other end of the channel has sent what is no message';
    const socket = this.#socket;
    if (end === 'closed') this.#finish(undefined);
    else if (end === 'gone' || this.#loss !== undefined)
      this.#finish(this.#loss);
    else this.#finish(codedError('ERR_JOBSERVER_PORT', text));
    socket?.drop();
  }

  /** The caller closes the socket. */
  #finish(error: Error | undefined): void {
    if (this.#socket === undefined) return;
    this.#socket = undefined;
    this.#end = { error };
    collected.unregister(this);
    this.#hold();
    for (const { wake } of this.#readers) wake();
    // Behind the messages.
    selector.later(() => {
      this.#emit('close', error);
    });
    setImmediate(() => {
      selector.flush();
    });
  }

  /** What a listener throws must not stop the selector. */
  #emit(name: keyof PortEvents, value?: unknown): void {
    try {
      (this as EventEmitter).emit(name, value);
    } catch (error) {
      setImmediate(() => {
        throw error;
      });
    }
  }
}

function arrivalOf({ kind, content, buffers }: ReportFrame): Arrived {
  try {
    const value = decode(content, undefined, buffers);
    return kind === 'error' ? { error: value as Error } : { value };
  } catch (error) {
    return { error: error as Error };
  }
}
