// How an executor learns what has become of its jobs, and what they say before that: from
// the events of the queue, and from what the server says when it is asked.
import { LostResult } from '../errors.js';
import { now } from '../system/deadline.js';
import { decode } from '../wire/value.js';
import { type Arrival, arrivalOf, outcomeOf } from './arrival.js';
import type { Connection } from './connection.js';
import { type Claimed, type OutcomeEnvelope, unseal } from './envelope.js';
import { refused, unheardLoss } from './errors.js';
import type { StreamEvent } from './event-reader.js';
import type { Flight } from './flight.js';
import type { Parcel } from './parcels.js';
import type { Trace } from './reconciliation.js';

export class Arrivals {
  readonly #connection: Connection;
  readonly #onArrival: (flight: Flight, arrival: Arrival) => void;

  constructor(
    connection: Connection,
    onArrival: (flight: Flight, arrival: Arrival) => void,
  ) {
    this.#connection = connection;
    this.#onArrival = onArrival;
  }

  /** The real error of a job is beside the text that BullMQ has. */
  async #failureOf(flight: Flight, reason = ''): Promise<Claimed> {
    const { redis } = this.#connection;
    const { id } = flight;
    const key = this.#connection.keyOf(`failure.${id}`);
    const text = await redis.get(key);
    if (text === null) {
      // The event that says it may have been missed.
      if (isStall(reason)) throw await this.#lossOf(flight, unheardText);
      // A host that refuses a job stores no error beside it. The job itself is there.
      const isThere = await redis.exists(this.#connection.keyOf(id));
      if (isThere === 0)
        throw unheardLoss(lostDataText, { attempts: flight.attempt });
      throw refused(reason);
    }
    void redis.unlink(key).catch(() => undefined);
    return parse(text);
  }

  completed(flight: Flight, text: string | undefined): void {
    this.#arrive(flight, () => parse(text));
  }

  failed(flight: Flight, reason: string | undefined): void {
    this.#arrive(flight, () => this.#failureOf(flight, reason));
  }

  #arrive(flight: Flight, claim: () => Claimed | Promise<Claimed>): void {
    flight.isOver = true;
    void (async () => {
      let arrival: Arrival;
      try {
        const claimed = await claim();
        const outcome = outcomeOf(this.#connection, flight, claimed);
        arrival = await arrivalOf(this.#connection, flight, outcome);
        note(flight, outcome, arrival);
      } catch (error) {
        const isLost = error instanceof LostResult;
        arrival = { isError: true, error, isLost };
      }
      await flight.told;
      this.#onArrival(flight, arrival);
    })();
  }

  /** The host of the job is dead, or was taken for dead. */
  async lose(flight: Flight, why = unheardText): Promise<void> {
    flight.isOver = true;
    const error = await this.#lossOf(flight, why);
    // No host is to begin it again.
    await this.#connection.queue.remove(flight.id).catch(() => undefined);
    await flight.told;
    this.#onArrival(flight, { isError: true, error, isLost: true });
  }

  async #lossOf(flight: Flight, why: string): Promise<LostResult> {
    const { redis } = this.#connection;
    const key = this.#connection.keyOf(flight.id);
    const fields = await redis.hmget(key, 'pb', 'ats').catch(() => []);
    const [host, starts] = fields;
    // A host that takes a lost job out of the queue writes its name over the other.
    const isKnown = typeof host === 'string' && starts === '1';
    return unheardLoss(why, {
      attempts: flight.attempt,
      host: isKnown ? host : undefined,
    });
  }

  /** The server was asked about the job. */
  onTrace(flight: Flight, trace: Trace): void {
    if (flight.isOver) return;
    if (trace.kind === 'stalled') void this.lose(flight);
    else if (trace.kind === 'gone') {
      void this.lose(flight, lostDataText);
    } else if (trace.kind === 'completed') {
      this.completed(flight, trace.text);
    } else {
      this.failed(flight, trace.text);
    }
  }

  /** Calls the listener of the call. */
  tell(flight: Flight, kind: 'report' | 'output', fields: StreamEvent): void {
    const { keyring, parcels } = this.#connection;
    flight.told = flight.told.then(async () => {
      const told = unseal(keyring, kind, flight.id, fields) as Told | undefined;
      if (told?.number !== flight.nextMessage) return;
      flight.nextMessage += 1;
      const { promise } = flight.call;
      const { onReport, listener } = flight.plan.controls;
      const data = decode(await parcels.take(told.content));
      try {
        if (kind === 'report') onReport?.(data, promise);
        else await listener?.(data as never, told.stream!, promise);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    });
    flight.told = flight.told.catch(() => undefined);
  }
}

const lostDataText = 'the server has lost its data';
const unheardText = 'its host was not heard of in time';

/** Whether BullMQ has failed a job whose lock has ended. No host has signed that. */
function isStall(reason: string): boolean {
  return reason.startsWith('job stalled');
}

interface Told {
  readonly number: number;
  readonly content: Parcel;
  readonly stream: 'stdout' | 'stderr' | undefined;
}

function parse(text: string | undefined): Claimed {
  try {
    return JSON.parse(text ?? 'null') as Claimed;
  } catch {
    return null;
  }
}

/** What the host has measured. */
function note(
  flight: Flight,
  { pid, run, usage, timedOut, outcome }: OutcomeEnvelope,
  arrival: Arrival,
): void {
  const { record } = flight.plan;
  flight.process.pid = pid;
  flight.outcome = outcome;
  // The value has not arrived.
  if (arrival.isError && outcome === 'value') {
    flight.outcome = arrival.isLost ? 'lost' : 'error';
  }
  record.usage = usage;
  record.timedOut = timedOut;
  record.startedAt = Math.max(record.submittedAt, now() - run);
}
