// Asks the server about jobs whose end was not heard: it may have lost its data, or the
// executor may have missed an event. Some jobs at each check, in turns.
import type { Connection } from './connection.js';
import type { Flight } from './flight.js';

/** What has become of a job. */
export interface Trace {
  readonly kind: 'gone' | 'stalled' | 'completed' | 'failed';
  /** The return value as BullMQ has it, or the reason of the failure. */
  readonly text: string;
}

const mostAtOnce = 500;

// The event may be on its way.
const mostMisses = 2;

const fields = [
  'timestamp',
  'finishedOn',
  'returnvalue',
  'failedReason',
  'defa',
] as const;

export class Reconciliation {
  readonly #connection: Connection;
  readonly #onTrace: (flight: Flight, trace: Trace) => void;
  #turn = 0;

  constructor(
    connection: Connection,
    onTrace: (flight: Flight, trace: Trace) => void,
  ) {
    this.#connection = connection;
    this.#onTrace = onTrace;
  }

  async check(flights: ReadonlyMap<string, Flight>): Promise<void> {
    const added = [...flights.values()].filter(
      ({ isAdded, isOver }) => isAdded && !isOver,
    );
    if (this.#turn >= added.length) this.#turn = 0;
    const batch = added.slice(this.#turn, this.#turn + mostAtOnce);
    this.#turn += batch.length;
    if (batch.length === 0) return;
    const ids = batch.map(({ id }) => id);
    const pipeline = this.#connection.redis.pipeline();
    for (const id of ids) {
      pipeline.hmget(this.#connection.keyOf(id), ...fields);
    }
    const replies = (await pipeline.exec()) ?? [];
    for (const [i, flight] of batch.entries()) {
      const [error, values] = replies[i] ?? [];
      if (error !== null || flight.id !== ids[i] || flight.isOver) continue;
      this.#judge(flight, traceOf(values as (string | null)[]));
    }
  }

  #judge(flight: Flight, trace: Trace | undefined): void {
    flight.misses = trace === undefined ? 0 : flight.misses + 1;
    if (trace !== undefined && flight.misses >= mostMisses) {
      this.#onTrace(flight, trace);
    }
  }
}

/** Undefined for a job that waits or runs. */
function traceOf(values: readonly (string | null)[]): Trace | undefined {
  const [timestamp, finishedOn, returnvalue, failedReason, deferred] = values;
  if (typeof timestamp !== 'string') return { kind: 'gone', text: '' };
  if (typeof deferred === 'string') return { kind: 'stalled', text: deferred };
  if (typeof finishedOn !== 'string') return undefined;
  if (typeof failedReason === 'string') {
    return { kind: 'failed', text: failedReason };
  }
  return { kind: 'completed', text: returnvalue ?? 'null' };
}
