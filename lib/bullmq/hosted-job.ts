// One job of the queue on a host: from the lock that the host has on it until the queue
// has its outcome.
import { AbortError, LostResult } from '../errors.js';
import { type Future, futureControl } from '../job/future.js';
import type { Plan } from '../job/plan.js';
import type { JobRecord } from '../job/record.js';
import { throwIfAborted } from '../system/abort.js';
import { bytesOf, encode } from '../wire/value.js';
import { type HostTerms, orphanText } from './admission.js';
import type { Connection } from './connection.js';
import { type Ending, errorOf, packEnding } from './ending.js';
import { type CallEnvelope, type OutcomeEnvelope, seal } from './envelope.js';
import { reasonOf, textOf, unheardLoss, unstored } from './errors.js';
import type { Purpose } from './keyring.js';
import type { Job } from './packages.js';
import { keptMs } from './parcels.js';

/**
 * A job on a host, as {@link ClusterHost.observe} shows it. Times are milliseconds.
 *
 * @example
 * ```js
 * host.observe({
 *   ended: ({ name, outcome, run }) => console.log(name, outcome, run),
 * });
 * ```
 */
export interface HostedJob {
  /** Of the job in the queue. */
  readonly id: string;
  /** The name of its function, and its file relative to `root`. */
  readonly name: string;
  /** From its submit to its start, by the clocks of both machines; 0 or more. */
  readonly wait: number;
  /** From its start to its end; undefined while it runs. */
  readonly run: number | undefined;
  /** Of the process of the job; undefined before its start. */
  readonly pid: number | undefined;
  /**
   * 'value' when it has returned, 'error' when it has thrown, 'lost' when its process
   * died or the host had to end it, maybe before its start, 'aborted' when its submitter
   * has ended it, 'refused' when it was not started; undefined while it runs.
   */
  readonly outcome:
    'value' | 'error' | 'lost' | 'aborted' | 'refused' | undefined;
  /** Why it was refused or lost, in words. */
  readonly reason: string | undefined;
}

/** What {@link ClusterHost.observe} calls. See {@link HostedJob}. */
export interface HostObserver {
  /** A process has begun the job. */
  started?(job: HostedJob): void;
  /** The job has ended, and its slot is free; or it was refused. */
  ended?(job: HostedJob): void;
  /** Something has gone wrong with the server; the host goes on. */
  error?(error: Error): void;
}

export class RunningHostedJob implements HostedJob {
  readonly id: string;
  readonly name: string;
  readonly wait: number;
  readonly lockToken: string;
  readonly executor: string;
  readonly isDetached: boolean;
  run: number | undefined;
  outcome: HostedJob['outcome'];
  reason: string | undefined;
  readonly #terms: HostTerms;
  readonly #job: Job;
  readonly #abort = new AbortController();
  #future: Future<unknown> | undefined;
  #record: JobRecord | undefined;
  #endSignal: number | undefined;
  #isAborted = false;
  /** What its submitter has lost if that was only silent; see `orphan`. */
  #orphanLoss: LostResult | undefined;
  /** The queue does not want its outcome any more. */
  #isForfeit = false;
  #onForfeit!: () => void;
  readonly #forfeited = new Promise<void>((resolve) => {
    this.#onForfeit = resolve;
  });
  #messages = 0;
  /** Settles when what was told before is in the stream of events. Never rejects. */
  #told: Promise<void> = Promise.resolve();
  /** Of the first message that could not be sent. The host sends none after it. */
  #untold: Error | undefined;
  readonly #onUntold = (error: unknown): void => {
    const { host } = this.#terms;
    const what = `Host ${host} could not send what the job said`;
    this.#untold ??= unstored(what, error);
  };

  constructor(terms: HostTerms, job: Job, call: CallEnvelope) {
    this.#terms = terms;
    this.#job = job;
    this.id = job.id!;
    this.lockToken = job.token!;
    this.name = job.name;
    this.wait = waitOf(job);
    this.executor = call.executor;
    this.isDetached = call.isDetached;
  }

  get pid(): number | undefined {
    return this.#record?.pid;
  }

  /** Aborted when the submitter aborts the job. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Its process has been started. Resolves when the queue has the outcome. */
  async follow(future: Future<unknown>, { record }: Plan): Promise<void> {
    this.#future = future;
    this.#record = record;
    if (this.#endSignal !== undefined) this.terminate(this.#endSignal);
    if (this.#isForfeit) future.kill('SIGKILL');
    const ending = await new Promise<Ending>((resolve) => {
      futureControl.follow(
        future,
        (value) => {
          resolve({ isError: false, value });
        },
        (error) => {
          resolve({ isError: true, value: this.#lossOr(error) });
        },
      );
    });
    this.run = record.finishedAt! - record.startedAt!;
    this.outcome = this.#outcomeOf(record.outcome);
    if (this.#isForfeit) this.outcome = 'lost';
    await this.#deliver(ending, record);
  }

  /** Its submitter ends it. */
  abort(): void {
    this.#isAborted = true;
    this.#abort.abort();
  }

  /** Its submitter is taken for dead. */
  orphan(): void {
    this.reason ??= orphanText;
    this.#orphanLoss ??= unheardLoss(orphanText);
    this.abort();
  }

  terminate(signal: number): void {
    this.#endSignal = signal;
    if (this.#future === undefined) return;
    futureControl.terminate(this.#future, signal);
  }

  /** The host does not hold the job any more, and nobody wants its outcome. */
  forfeit(reason: string): void {
    this.#isForfeit = true;
    this.reason ??= reason;
    this.#future?.kill('SIGKILL');
    this.#onForfeit();
  }

  /** Before its start. Rejects when the lease ends first: the server may be silent. */
  async unlessForfeit<T>(preparation: Promise<T>): Promise<T> {
    const forfeited = this.#forfeited.then(() => {
      throw new AbortError(this.reason);
    });
    return Promise.race([preparation, forfeited]);
  }

  /** Before its start. */
  throwIfOver(): void {
    throwIfAborted(this.#abort.signal);
    if (this.#isForfeit) throw new AbortError(this.reason);
    if (this.#endSignal === undefined) return;
    throw unheardLoss('it was ended before it began');
  }

  /**
   * Tells the submitter something while the job runs. Resolves when it was sent, also
   * when it could not be: then the job fails.
   */
  tell(
    kind: Purpose & ('report' | 'output'),
    value: unknown,
    stream?: 'stdout' | 'stderr',
  ): Promise<void> {
    const key = `${this.id}.${kind}.${this.#messages}`;
    const number = this.#messages++;
    const send = async (bytes: Buffer): Promise<void> => {
      const { connection } = this.#terms;
      const content = await connection.parcels.pack(key, bytes);
      const { message, mac } = seal(connection.keyring, kind, this.id, {
        number,
        content,
        stream,
      });
      const fields = ['event', kind, 'jobId', this.id, 'message', message];
      const events = connection.queue.keys['events']!;
      await connection.redis.xadd(events, '*', ...fields, 'mac', mac);
    };
    try {
      const bytes = bytesOf(encode(value, kind));
      this.#told = this.#told
        .then(() => (this.#untold === undefined ? send(bytes) : undefined))
        .catch(this.#onUntold);
    } catch (error) {
      this.#onUntold(error);
    }
    return this.#told;
  }

  /** Not started: the submitter gets the error. */
  async refuse(thrown: unknown): Promise<void> {
    const error = this.#lossOr(thrown);
    this.reason = reasonOf(error);
    // Nobody has lost a job whose submitter is gone.
    const isLost = error instanceof LostResult && this.reason !== orphanText;
    this.outcome = isLost ? 'lost' : 'refused';
    await this.#deliver({ isError: true, value: error }, undefined);
  }

  /** A submitter that lives has not aborted the job, and can start it again. */
  #lossOr(error: unknown): unknown {
    return error instanceof AbortError ? (this.#orphanLoss ?? error) : error;
  }

  #outcomeOf(outcome: JobRecord['outcome']): HostedJob['outcome'] {
    if (this.#isAborted && outcome !== 'value') return 'aborted';
    return outcome === 'unstarted' ? 'refused' : outcome;
  }

  /** Does not wait for a server that is silent for longer than the lease. */
  async #deliver(ending: Ending, record: JobRecord | undefined): Promise<void> {
    const sent = this.#send(ending, record);
    sent.catch(() => undefined);
    await Promise.race([sent, this.#forfeited]);
    if (!this.#isForfeit) return;
    this.outcome = 'lost';
  }

  async #send(given: Ending, record: JobRecord | undefined): Promise<void> {
    if (this.#isForfeit) return;
    await this.#told;
    const { connection, host } = this.#terms;
    // A job may also throw one.
    const isOurs =
      record === undefined ||
      record.outcome === 'lost' ||
      given.value === this.#orphanLoss;
    const isLost = isOurs && given.value instanceof LostResult;
    const isUntold = !given.isError && this.#untold !== undefined;
    const all = isUntold ? { isError: true, value: this.#untold } : given;
    const ending = await packEnding(this.#terms, this.id, all, isLost);
    const { isError, value, content, lost } = ending;
    if (isError) this.reason ??= reasonOf(value);
    const isChanged = isError && !given.isError;
    if (isChanged) this.outcome = 'error';
    const envelope: OutcomeEnvelope = {
      host,
      outcome: isChanged ? 'error' : (record?.outcome ?? 'unstarted'),
      content,
      lost,
      pid: record?.pid ?? 0,
      run: this.run ?? 0,
      usage: record?.usage,
      timedOut: record?.timedOut ?? false,
    };
    const sealed = seal(connection.keyring, 'outcome', this.id, envelope);
    if (!isError) {
      this.#terms.settle(this.id);
      await this.#terms.complete(this.#job, sealed);
      return;
    }
    // The error is stored before the job fails, because the submitter reads it as soon
    // as it learns of the failure.
    await storeFailure(connection, this.id, JSON.stringify(sealed));
    this.#terms.settle(this.id);
    await this.#job.moveToFailed(errorOf(value), this.lockToken, false);
  }
}

// A full server refuses new keys, but not to a script that has begun to delete. So an
// error gets through as the end of a job does, which is a script of BullMQ.
const setScript = `
redis.call('UNLINK', KEYS[1])
return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])`;

async function storeFailure(
  connection: Connection,
  id: string,
  text: string,
): Promise<void> {
  const { redis } = connection;
  const key = connection.keyOf(`failure.${id}`);
  try {
    await redis.set(key, text, 'PX', keptMs);
  } catch {
    await redis.eval(setScript, 1, key, text, keptMs);
  }
}

/** One whose message the host does not accept. */
export function refusedJob(job: Job, error: unknown): HostedJob {
  return {
    id: job.id!,
    name: job.name,
    wait: waitOf(job),
    run: undefined,
    pid: undefined,
    outcome: 'refused',
    reason: textOf(error),
  };
}

function waitOf({ timestamp }: Job): number {
  return Math.max(0, Date.now() - timestamp);
}
