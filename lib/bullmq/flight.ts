// One call of an executor on its way: from `submit` until its promise is settled. Each
// attempt at it is a job of the queue, with an id of its own.
import type { QueuedCall } from '../executor/queued-call.js';
import type { JobRecord } from '../job/record.js';
import type { Mapping } from '../protocol/order.js';
import type { Encoded } from '../wire/value.js';
import type { OwnControls } from './controls.js';
import type { Parcel } from './parcels.js';
import type { PortableFunction } from './portable-function.js';

/** What was captured when the call was submitted. */
export interface ClusterPlan {
  readonly record: JobRecord;
  readonly fn: PortableFunction;
  readonly mapping: Mapping;
  readonly args: Encoded;
  readonly controls: OwnControls;
  readonly priority: number;
  readonly signal: AbortSignal | undefined;
}

export type ClusterCall = QueuedCall<ClusterPlan>;

export class Flight {
  readonly call: ClusterCall;
  readonly plan: ClusterPlan;
  readonly #base: string;
  attempt = 1;
  /** Of the arguments, once they are packed. */
  args: Parcel | undefined;
  /** The queue has its present job. */
  isAdded = false;
  /** A host has begun an attempt. */
  isStarted = false;
  /** It waits again: the host that had taken it has given it back. */
  isBack = false;
  /** No further attempt follows: it was aborted, or its executor ends it. */
  isEnding = false;
  /** Its promise is settled, or about to be. */
  isOver = false;
  /** How often in a row the server did not have what it should have. */
  misses = 0;
  /** The number of the next message of its job. */
  nextMessage = 0;
  /** What its listeners have to be told first. */
  told: Promise<void> = Promise.resolve();
  /** What its host has said about the end. */
  outcome: JobRecord['outcome'];
  /** For the record. */
  readonly process: { pid: number | undefined } = { pid: undefined };
  offAbort: (() => void) | undefined;

  /** `base`: unique in the queue. */
  constructor(call: ClusterCall, plan: ClusterPlan, base: string) {
    this.call = call;
    this.plan = plan;
    this.#base = base;
  }

  /** Of the job in the queue. */
  get id(): string {
    return this.attempt === 1 ? this.#base : `${this.#base}.${this.attempt}`;
  }

  /** Of its arguments in the store. */
  get argsKey(): string {
    return `${this.id}.args`;
  }

  /** For a host. */
  get isWaiting(): boolean {
    return (!this.isStarted || this.isBack) && !this.isOver;
  }

  get canRetry(): boolean {
    return !this.isEnding && this.attempt <= this.plan.controls.retries;
  }

  /** The next attempt, under another id. */
  beginAgain(): void {
    this.attempt += 1;
    this.isOver = false;
    this.isAdded = false;
    this.isBack = false;
    this.misses = 0;
    this.nextMessage = 0;
  }
}
