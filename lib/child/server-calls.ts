// The calls of a worker that runs several jobs: receives what each of them needs, and
// makes it.
import { Arrivals } from '../memory/arrivals.js';
import { SegmentPool } from '../memory/segment-pool.js';
import type { Message } from '../protocol/messages.js';
import { type Call, unpackCall } from '../protocol/worker-messages.js';
import { workerState } from '../protocol/worker-state.js';
import { errno, systemError } from '../system/binding.js';
import type { Fd } from '../system/fd.js';
import { callEither } from './call.js';
import { enterPipes } from './job-output.js';
import { KnownFunctions, type Loaded } from './known-functions.js';
import { Leftovers } from './leftovers.js';
import { NextSettings } from './next-settings.js';
import { NextSurroundings } from './next-surroundings.js';
import { type Outcome, outcomeOfEither, outcomeOfError } from './outcome.js';
import { type CallBuffers, callOf, receiveBuffers } from './run.js';
import type { ServerOrder } from './serve.js';

/** A call and its files, as they were received. */
export interface ReceivedCall {
  /** Undefined: it could not be received. */
  readonly call: Call | undefined;
  /** Those of its large buffers; owned. */
  readonly files: readonly Fd[];
  /** Its standard output and its standard error, if it has its own; owned. */
  readonly pipes: readonly Fd[];
}

export class ServerCalls {
  readonly #order: ServerOrder;
  readonly #arrivals = new Arrivals(true);
  readonly #pool = new SegmentPool();
  readonly #functions: KnownFunctions;
  readonly #surroundings = new NextSurroundings();
  readonly #settings: NextSettings;
  #leftovers = new Leftovers();

  constructor(order: ServerOrder) {
    this.#order = order;
    this.#functions = new KnownFunctions(order);
    this.#settings = new NextSettings(order.body.head.settings);
  }

  /** False where no job could run. */
  get isPrepared(): boolean {
    return this.#functions.isPrepared;
  }

  /** Of the last job. */
  get leftovers(): Leftovers {
    return this.#leftovers;
  }

  /** The call in a message. Later ones may refer to what it has. */
  receive(message: Message): ReceivedCall {
    const call = unpackCall(message);
    const { head, surroundings } = call ?? {};
    if (head !== undefined) this.#functions.select(head);
    if (surroundings !== undefined) this.#surroundings.select(surroundings);
    const { enclosures } = message;
    if (call?.hasOutput !== true) return { call, files: enclosures, pipes: [] };
    const files = enclosures.slice(0, -2);
    return { call, files, pipes: enclosures.slice(-2) };
  }

  /** This process does not make the call. */
  refuse({ files, pipes }: ReceivedCall): void {
    this.#arrivals.refuse(files);
    for (const pipe of pipes) pipe.close();
  }

  make(received: ReceivedCall): Outcome | Promise<Outcome> {
    const { call, files, pipes } = received;
    try {
      if (call === undefined) {
        this.refuse(received);
        throw systemError(-errno.EMFILE, 'receive the arguments');
      }
      workerState.ambient!.token = call.token;
      workerState.job = this.#functions.head;
      const buffers = receiveBuffers(call, files, this.#arrivals);
      if (pipes.length > 0) enterPipes(pipes);
      this.#settings.enter();
      this.#surroundings.enter();
      const { current } = this.#functions;
      return current === undefined
        ? this.#loadAndCall(call, buffers)
        : this.#call(current, call, buffers);
    } catch (error) {
      for (const pipe of pipes) pipe.close();
      return outcomeOfError(error, this.#pool);
    }
  }

  async #loadAndCall(call: Call, buffers: CallBuffers): Promise<Outcome> {
    try {
      const loaded = await this.#functions.load();
      // Modules may add listeners and open handles when they are loaded.
      this.#leftovers = new Leftovers();
      return await this.#call(loaded, call, buffers);
    } catch (error) {
      return outcomeOfError(error, this.#pool);
    }
  }

  #call(
    loaded: Loaded,
    { args, preexecArgs }: Call,
    buffers: CallBuffers,
  ): Outcome | Promise<Outcome> {
    const body = { head: loaded.head, args, preexecArgs };
    const call = callOf(loaded, body, buffers, this.#order);
    return outcomeOfEither(callEither(call), call.mapping, this.#pool);
  }
}
