// Takes jobs from the queue, each for a slot that the host has already: a host without a
// free slot locks no job that another host could start. While nothing waits in the
// queue, no slot is held.
import { setImmediate, setTimeout } from 'node:timers';
import { codedError } from '../errors.js';
import { inTime } from '../executor/in-time.js';
import type { Pool } from '../job/pool.js';
import type { SleepGate, Submission } from '../job/submission.js';
import { Condition } from '../map/condition.js';
import type { Token } from '../slots/token.js';
import { deadlineAfter, never, now } from '../system/deadline.js';
import type { Connection } from './connection.js';
import type { Sealed } from './envelope.js';
import { type Job, type JobJson, type Worker, bullmq } from './packages.js';

/** Seconds. Another host may have been woken in vain. */
const mostIdle = 1;
const pauseMs = 200;

export interface IntakeOptions {
  readonly connection: Connection;
  readonly worker: Worker;
  readonly pool: Pool;
  readonly gate: SleepGate;
  /** Of the locks. */
  readonly host: string;
  /** Whether there may be one more job beside those taken and `coming` others. */
  readonly hasRoom: (coming: number) => boolean;
  /** Takes over the token. `since`: when the lock was asked for. */
  readonly onJob: (job: Job, token: Token, since: number) => void;
  readonly onError: (error: Error) => void;
}

interface Completed {
  readonly job: Job;
  /** Its return value. */
  readonly value: Sealed;
  resolve(): void;
  reject(error: Error): void;
}

export class Intake {
  readonly #options: IntakeOptions;
  // Loaded once, because each call looks for the package.
  readonly #Job = bullmq().Job;
  readonly #changed = new Condition();
  #place: Submission | undefined;
  #isStopped = false;
  #number = 0;
  readonly #takes = new Set<Promise<boolean>>();
  /** Whether the queue had a job when it was asked last. */
  #isBusy = false;
  /** Jobs that have completed, and that the queue takes for running. */
  #completed: Completed[] = [];

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** Resolves after `stop`. */
  async run(): Promise<void> {
    let isWoken = false;
    while (!this.#isStopped) {
      if (!this.#hasRoom || !this.#isConnected) {
        await this.#pause();
        continue;
      }
      const token = await this.#slot(isWoken);
      if (token === undefined) continue;
      if (this.#isStopped) {
        token.give();
        break;
      }
      const take = this.#begin(token);
      // While there are jobs, the queue is asked for several at once.
      const isIdle = !this.#isBusy && (await take);
      isWoken = isIdle && (await this.#idle());
    }
    await Promise.all(this.#takes);
  }

  /** There may be room for a job. */
  notify(): void {
    this.#changed.notify();
  }

  /**
   * Tells the queue that a job has completed. If there is a slot for the next job by
   * then, asks for that in the same request.
   */
  complete(job: Job, value: Sealed): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#completed.push({ job, value, resolve, reject });
      if (this.#completed.length > 1) return;
      // The slot of the job becomes free in the next turn of the event loop.
      setImmediate(() => {
        setImmediate(() => {
          for (const each of this.#completed.splice(0)) {
            void this.#tell(each, false);
          }
        });
      });
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#changed.notify();
    this.#place?.fail(stopped());
    const backend = this.#options.worker.getBackend();
    backend.disconnectBlocking(false).catch(() => undefined);
  }

  async #pause(): Promise<void> {
    await this.#changed.wait(now() + pauseMs);
    // Otherwise the condition would keep what has waited in vain.
    this.#changed.notify();
  }

  get #hasRoom(): boolean {
    return this.#options.hasRoom(this.#takes.size);
  }

  get #isConnected(): boolean {
    return this.#options.connection.redis.status === 'ready';
  }

  /** Undefined when it has stopped, or there is no slot to be had. */
  #slot(isWoken: boolean): Promise<Token | undefined> {
    const { pool, gate, onError } = this.#options;
    return new Promise((resolve) => {
      const leave = (token: Token | undefined): void => {
        this.#place = undefined;
        resolve(token);
      };
      const place = pool.request({
        consume: 1,
        borrowing: 'late',
        gate,
        deadline: never,
        functions: () => [],
        signal: undefined,
        onSlot: leave,
        onError: (error) => {
          if (!this.#isStopped) {
            onError(error as Error);
            this.#isStopped = true;
          }
          leave(undefined);
        },
      });
      if (place.isSettled) return;
      this.#place = place;
      // Only one host was woken for the job, and this one has no slot for it.
      if (isWoken) this.#wakeAnother();
    });
  }

  #wakeAnother(): void {
    const { redis, queue } = this.#options.connection;
    redis.zadd(queue.keys['marker']!, 0, '0').catch(() => undefined);
  }

  #begin(token: Token): Promise<boolean> {
    const take = this.#take(token).finally(() => {
      this.#takes.delete(take);
      this.#changed.notify();
    });
    this.#takes.add(take);
    return take;
  }

  /** Takes over the token. True when there is no job. Never rejects. */
  async #take(token: Token): Promise<boolean> {
    const { connection, onJob, onError } = this.#options;
    const { leaseMs } = connection.settings;
    const since = now();
    const fetched = this.#next();
    try {
      // A job that comes later is not started, because its lock may be old: the host would
      // have to end it at once. It is given back while the lock lasts.
      const late = (): Error =>
        codedError('ERR_JOBSERVER_CLUSTER', 'The server does not answer');
      const job = await inTime(fetched, deadlineAfter(leaseMs / 2), late);
      this.#isBusy = job !== undefined;
      if (job?.deferredFailure) {
        // Its host has lost it. The submitter knows these words of BullMQ.
        const lost = new Error(job.deferredFailure);
        job.moveToFailed(lost, job.token!, false).catch(onError);
        token.give();
        return false;
      }
      if (job !== undefined) {
        onJob(job, token, since);
        return false;
      }
    } catch (error) {
      void giveBack(fetched);
      this.#isBusy = false;
      onError(error as Error);
      token.give();
      await this.#pause();
      return false;
    }
    token.give();
    return true;
  }

  /** Undefined when the queue has no job. */
  async #next(): Promise<Job | undefined> {
    const { worker, host } = this.#options;
    const completed = this.#completed.shift();
    const reply = completed && (await this.#tell(completed, true));
    if (reply === undefined) {
      const lock = `${host}:${this.#number++}`;
      return worker.getNextJob(lock, { block: false });
    }
    // Empty when there was none, with null when the queue is paused.
    const [json, id] = reply as [JobJson?, string?];
    if (!json) return undefined;
    const job = this.#Job.fromJSON(worker, json, id);
    // BullMQ has locked the next job with the token of the one that has completed.
    job.token = completed!.job.token!;
    return job;
  }

  /** Resolves with the next job as the queue has it, if that was asked for. */
  async #tell(
    completed: Completed,
    asks: boolean,
  ): Promise<readonly unknown[] | undefined> {
    const { job, value } = completed;
    try {
      const reply = await job.moveToCompleted(value, job.token!, asks);
      completed.resolve();
      return asks && Array.isArray(reply) ? reply : undefined;
    } catch (error) {
      completed.reject(error as Error);
      return undefined;
    }
  }

  /** True when it was woken because there is a job. */
  async #idle(): Promise<boolean> {
    if (this.#isStopped) return false;
    try {
      const backend = this.#options.worker.getBackend();
      return (await backend.waitForJob(mostIdle)) !== null;
    } catch {
      // The connection was lost, or it has stopped.
      await new Promise((resolve) => setTimeout(resolve, 10));
      return false;
    }
  }
}

/** A job that came too late: its host does not know how old the lock is. */
async function giveBack(fetched: Promise<Job | undefined>): Promise<void> {
  try {
    const job = await fetched;
    await job?.moveToWait(job.token);
  } catch {
    // It did not come, or its lock has ended, so that it is lost.
  }
}

function stopped(): Error {
  return codedError('ERR_JOBSERVER_CLOSED', 'The host is closed');
}
