// Puts calls into the queue, those of one turn of the event loop together.
import { setImmediate } from 'node:timers';
import { bytesOf } from '../wire/value.js';
import type { Connection } from './connection.js';
import { type CallEnvelope, seal } from './envelope.js';
import { unstored } from './errors.js';
import type { Flight } from './flight.js';
import type { JobsOptions } from './packages.js';
import { describePortable } from './portable-function.js';

const mostAtOnce = 250;

// BullMQ starts the job with the lowest number first, of 0 to 2^21.
const middle = 1 << 20;
/** Priorities beyond this number, and its negative, count as it. */
export const mostPriority: number = middle - 1;

interface Entry {
  readonly name: string;
  readonly data: unknown;
  readonly opts: JobsOptions;
}

export interface OutboxOwner {
  readonly executor: string;
  readonly isDetached: boolean;
  /** Resolves when the server may be used. */
  readonly ready: Promise<void>;
  /** Tells hosts that the executor is alive. */
  announce(): Promise<void>;
  onAdded(flight: Flight): void;
  onRefused(flight: Flight, error: unknown): void;
}

export class Outbox {
  readonly #connection: Connection;
  readonly #owner: OutboxOwner;
  readonly #waiting: Flight[] = [];
  #isBusy = false;

  constructor(connection: Connection, owner: OutboxOwner) {
    this.#connection = connection;
    this.#owner = owner;
  }

  add(flight: Flight): void {
    this.#waiting.push(flight);
    if (this.#isBusy) return;
    this.#isBusy = true;
    setImmediate(() => {
      void this.#flush();
    });
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting
        .splice(0, mostAtOnce)
        .filter(({ isOver }) => !isOver);
      try {
        await this.#owner.ready;
        await this.#send(batch);
      } catch (error) {
        for (const flight of batch) this.#owner.onRefused(flight, error);
      }
    }
    this.#isBusy = false;
  }

  async #send(batch: readonly Flight[]): Promise<void> {
    const { queue, parcels } = this.#connection;
    await Promise.all(batch.map((flight) => this.#pack(flight)));
    const left = batch.filter(({ isOver }) => !isOver);
    // Those that were cancelled meanwhile had nothing to drop then.
    for (const { isOver, args } of batch) if (isOver) void parcels.drop(args);
    if (left.length === 0) return;
    try {
      // A server that has lost its data does not know the executor any more.
      await Promise.all([
        this.#owner.announce(),
        queue.addBulk(left.map((flight) => this.#entryOf(flight))),
      ]);
    } catch (error) {
      const refusal = unstored('The server does not take the call', error);
      for (const flight of left) this.#owner.onRefused(flight, refusal);
    }
    // Also for calls that have failed here, because the server may have taken some.
    for (const flight of left) this.#owner.onAdded(flight);
  }

  async #pack(flight: Flight): Promise<void> {
    const bytes = bytesOf(flight.plan.args);
    try {
      const { parcels } = this.#connection;
      flight.args = await parcels.pack(flight.argsKey, bytes);
    } catch (error) {
      const refusal = unstored('The arguments could not be stored', error);
      this.#owner.onRefused(flight, refusal);
    }
  }

  #entryOf(flight: Flight): Entry {
    const { id, plan, attempt } = flight;
    const { executor, isDetached } = this.#owner;
    const envelope: CallEnvelope = {
      executor,
      isDetached,
      sentAt: Date.now(),
      name: plan.record.name,
      fn: plan.fn,
      mapping: plan.mapping,
      args: flight.args!,
      controls: plan.controls.sent,
      priority: plan.priority,
      attempt,
    };
    const data = seal(this.#connection.keyring, 'call', id, envelope);
    const priority = middle - plan.priority;
    const name = describePortable(plan.fn);
    return { name, data, opts: { jobId: id, priority } };
  }
}
