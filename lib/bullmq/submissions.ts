// The calls of an executor: their way to the queue, what the events of the queue say
// about them, and how they are settled.
import { randomUUID } from 'node:crypto';
import { clearInterval, setInterval } from 'node:timers';
import { AbortError } from '../errors.js';
import type { CallQueue } from '../executor/queued-call.js';
import { onAbort } from '../system/abort.js';
import { type Arrival, abortedBy, outcomeFor } from './arrival.js';
import { Arrivals } from './arrivals.js';
import { type Connection, checkMsOf, isRefusal } from './connection.js';
import { EventReader, type StreamEvent } from './event-reader.js';
import { type ClusterCall, type ClusterPlan, Flight } from './flight.js';
import { NoHostWarning } from './no-host.js';
import { Orders } from './orders.js';
import { Outbox } from './outbox.js';
import { Presence } from './presence.js';
import { Reconciliation } from './reconciliation.js';

export interface SubmissionEvents {
  /** The counts have changed. */
  onChange(): void;
  /** The call has ended, and was running. */
  onMeasure(flight: Flight): void;
  /** A call was added that no host has begun. */
  onPending(flight: Flight): void;
}

export class Submissions implements CallQueue<ClusterPlan> {
  readonly connection: Connection;
  /** Of the executor. */
  readonly id: string = randomUUID();
  readonly orders: Orders;
  readonly #events: SubmissionEvents;
  readonly #outbox: Outbox;
  readonly #reader: EventReader;
  readonly #presence: Presence;
  readonly #reconciliation: Reconciliation;
  readonly #warning: NoHostWarning;
  readonly #arrivals: Arrivals;
  /** By the ids of their present jobs. */
  readonly #flights = new Map<string, Flight>();
  readonly #byCall = new Map<ClusterCall, Flight>();
  #timer: NodeJS.Timeout | undefined;
  #number = 0;
  #running = 0;
  /** Requests to the server after which nobody waits. */
  #errands = 0;

  constructor(
    connection: Connection,
    isDetached: boolean,
    events: SubmissionEvents,
  ) {
    this.connection = connection;
    this.orders = new Orders(connection);
    this.#events = events;
    this.#presence = new Presence(connection, 'executor', this.id, () => '1');
    this.#reader = new EventReader(
      connection,
      connection.queue.keys['events']!,
      (event) => {
        this.#onEvent(event);
      },
    );
    this.#reconciliation = new Reconciliation(connection, (flight, trace) => {
      this.#arrivals.onTrace(flight, trace);
    });
    this.#warning = new NoHostWarning(connection);
    this.#arrivals = new Arrivals(connection, (flight, arrival) => {
      this.settle(flight, arrival);
    });
    const ready = this.#start();
    ready.catch(() => undefined);
    this.#outbox = new Outbox(connection, {
      executor: this.id,
      isDetached,
      ready,
      announce: () => this.#presence.announce(),
      onAdded: (flight) => {
        this.#onAdded(flight);
      },
      onRefused: (flight, error) => {
        this.settle(flight, { isError: true, error, isLost: false });
      },
    });
  }

  get pending(): number {
    return this.#byCall.size - this.#running;
  }

  get running(): number {
    return this.#running;
  }

  get isIdle(): boolean {
    return this.#byCall.size === 0 && this.#errands === 0;
  }

  /** Those that no host has begun. */
  *waiting(): Generator<Flight> {
    for (const flight of this.#flights.values()) {
      if (flight.isWaiting) yield flight;
    }
  }

  submit(call: ClusterCall, plan: ClusterPlan): void {
    call.enter(this, plan);
    const flight = new Flight(call, plan, `${this.id}.${++this.#number}`);
    this.#byCall.set(call, flight);
    this.#flights.set(flight.id, flight);
    const { signal } = plan;
    flight.offAbort = onAbort(signal, () => {
      if (call.state === 'pending') call.drop(new AbortError(signal?.reason));
      else this.#end(flight, 'abort');
    });
    plan.record.submitted();
    this.#outbox.add(flight);
    this.#warning.watch(this.pending > 0);
    this.#events.onChange();
  }

  /** Takes a pending call back. A host that has begun it meanwhile ends it. */
  remove(call: ClusterCall): boolean {
    const flight = this.#byCall.get(call);
    if (flight === undefined) return true;
    this.#leave(flight);
    if (flight.isAdded) this.#errand(() => this.orders.cancel(flight));
    this.#dropArgs(flight);
    return true;
  }

  /** Cancels what no host has begun. */
  cancelAll(): void {
    for (const [call] of this.#byCall) call.promise.cancel();
  }

  /** Sends a signal to the running jobs, which are not started again. */
  signalAll(signal: number): void {
    for (const flight of this.#byCall.values()) {
      if (flight.isStarted) this.#end(flight, 'signal', signal);
    }
  }

  /** The job has begun, here or on a host. */
  start(flight: Flight): void {
    const { record } = flight.plan;
    if (flight.isStarted) {
      record.attempt = flight.attempt;
      record.startedAgain();
      return;
    }
    flight.isStarted = true;
    this.#running += 1;
    flight.call.takePlan();
    record.started(flight.process);
    this.#warning.watch(this.pending > 0);
    this.#events.onChange();
  }

  /** The job runs in this process's own pool from now on. */
  leaveQueue(flight: Flight): void {
    this.#flights.delete(flight.id);
    flight.isEnding = true;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#warning.stop();
    this.#presence.stop();
    await this.#reader.stop();
    await this.connection.close();
  }

  /** The server refuses this client. */
  onConnectionError(error: Error): void {
    if (!isRefusal(error)) return;
    const arrival = { isError: true, error, isLost: false } as const;
    for (const flight of [...this.#byCall.values()]) {
      this.settle(flight, arrival);
    }
  }

  async #start(): Promise<void> {
    await this.connection.checkPolicy();
    await this.#reader.start();
    await this.#presence.start();
    this.#timer = setInterval(() => {
      if (this.#flights.size > 0) void this.#check();
    }, checkMsOf(this.connection.settings));
    this.#timer.unref();
  }

  /** Only a client learns that a host is dead, so each one looks. */
  async #check(): Promise<void> {
    try {
      const backend = this.connection.queue.getBackend();
      await backend.moveStalledJobsToWait();
      await this.#reconciliation.check(this.#flights);
    } catch {
      // The server is away; the next check may find it.
    }
  }

  #onAdded(flight: Flight): void {
    flight.isAdded = true;
    if (!flight.isOver) {
      this.#events.onPending(flight);
      return;
    }
    this.#errand(() => this.orders.cancel(flight));
    this.#dropArgs(flight);
  }

  #onEvent({ event, jobId = '', ...fields }: StreamEvent): void {
    const flight = this.#flights.get(jobId);
    if (flight === undefined || flight.isOver) return;
    switch (event) {
      case 'active':
        flight.isBack = false;
        this.start(flight);
        break;
      case 'waiting':
        flight.isBack = flight.isStarted;
        if (flight.isBack) this.#events.onPending(flight);
        break;
      case 'completed':
        this.#arrivals.completed(flight, fields['returnvalue']);
        break;
      case 'failed':
        this.#arrivals.failed(flight, fields['failedReason']);
        break;
      case 'stalled':
        void this.#arrivals.lose(flight);
        break;
      case 'report':
      case 'output':
        this.#arrivals.tell(flight, event, fields);
        break;
      default:
        break;
    }
  }

  #end(flight: Flight, kind: 'abort' | 'signal', signal = 0): void {
    flight.isEnding = true;
    this.#errand(() => this.orders.end(flight, kind, signal));
  }

  /** The job has ended, and is not started again unless it was lost. */
  settle(flight: Flight, arrival: Arrival): void {
    if (!this.#byCall.has(flight.call)) return;
    const { signal, record } = flight.plan;
    if (arrival.isError && arrival.isLost && flight.canRetry) {
      this.#startAgain(flight);
      return;
    }
    const { isStarted, call } = flight;
    this.#leave(flight);
    this.#dropArgs(flight);
    if (isStarted)
      record.done(outcomeFor(flight, arrival), flight.process as never);
    if (isStarted) this.#events.onMeasure(flight);
    if (signal?.aborted === true) call.fail(abortedBy(signal, arrival));
    else if (!arrival.isError) call.fulfil(arrival.value);
    else if (isStarted) call.fail(arrival.error);
    else call.refuse(arrival.error);
  }

  #startAgain(flight: Flight): void {
    this.#flights.delete(flight.id);
    // They are sent again, because they may be what was lost.
    this.#dropArgs(flight);
    flight.beginAgain();
    this.#flights.set(flight.id, flight);
    this.#outbox.add(flight);
  }

  #leave(flight: Flight): void {
    flight.isOver = true;
    flight.offAbort?.();
    this.#byCall.delete(flight.call);
    this.#flights.delete(flight.id);
    if (flight.isStarted) this.#running -= 1;
    this.#warning.watch(this.pending > 0);
    queueMicrotask(() => {
      this.#events.onChange();
    });
  }

  #dropArgs({ args }: Flight): void {
    this.#errand(() => this.connection.parcels.drop(args));
  }

  #errand(run: () => Promise<unknown>): void {
    this.request(run).catch(() => undefined);
  }

  /** Keeps the process alive until the server has answered. */
  async request<T>(run: () => Promise<T>): Promise<T> {
    this.#errands += 1;
    this.#events.onChange();
    try {
      return await run();
    } finally {
      this.#errands -= 1;
      this.#events.onChange();
    }
  }
}
