// The jobs that a host has taken, and what ends them besides themselves: their
// submitter, its death, the end of their lease, the end of the host.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { clearInterval, setInterval } from 'node:timers';
import { AbortError } from '../errors.js';
import { type Jobserver, jobserverControl } from '../jobserver.js';
import type { Token } from '../slots/token.js';
import {
  type HostTerms,
  admit,
  envelopeOf,
  orphanText,
  startedBefore,
} from './admission.js';
import { Connection, checkMsOf, isRefusal } from './connection.js';
import type { CallEnvelope } from './envelope.js';
import { errorOf } from './ending.js';
import { EventReader, type StreamEvent } from './event-reader.js';
import {
  type HostObserver,
  type HostedJob,
  RunningHostedJob,
  refusedJob,
} from './hosted-job.js';
import { HostedHandles } from './hosted-controls.js';
import { Intake } from './intake.js';
import { Leases } from './lease.js';
import type { ClusterSettings } from './options.js';
import type { Job, Worker } from './packages.js';
import { Orphans } from './orphans.js';
import { LivingExecutors, Presence } from './presence.js';
import { Remembered } from './remembered.js';
import { openWorker } from './worker.js';
import type { HostInfo } from './status.js';

interface HostingOptions {
  readonly max: number;
  readonly name: string | undefined;
}

export class Hosting {
  readonly id: string = randomUUID();
  readonly name: string;
  readonly ready: Promise<void>;
  readonly #connection: Connection;
  readonly #worker: Worker;
  readonly #jobserver: Jobserver;
  readonly #handles: HostedHandles;
  readonly #terms: HostTerms;
  readonly #orphans: Orphans;
  readonly #leases: Leases;
  readonly #intake: Intake;
  readonly #presence: Presence;
  readonly #reader: EventReader;
  readonly #observers = new Set<HostObserver>();
  readonly #report = (error: Error): void => {
    for (const observer of this.#observers) observer.error?.(error);
  };
  readonly #jobs = new Map<string, RunningHostedJob>();
  readonly #ends = new Set<Promise<void>>();
  /** Before the host knew them. */
  readonly #aborted = new Remembered();
  readonly #known = new Remembered();
  readonly #startedAt = Date.now();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  /** The signal that ends all jobs, once there is one. */
  #endSignal: number | undefined;
  #intakeEnd: Promise<void> | undefined;
  #failStart: (error: Error) => void = () => undefined;
  completed = 0;

  constructor(
    settings: ClusterSettings,
    jobserver: Jobserver,
    { max, name = hostname() }: HostingOptions,
  ) {
    this.name = name;
    this.#jobserver = jobserver;
    this.#connection = new Connection(settings, (error) => {
      if (isRefusal(error)) this.#failStart(error);
      this.#report(error);
    });
    this.#connection.hold(true);
    this.#handles = new HostedHandles(jobserver, settings);
    this.#terms = {
      connection: this.#connection,
      host: name,
      living: new LivingExecutors(this.#connection),
      settle: (id) => {
        this.#leases.settle(id);
      },
      report: this.#report,
      complete: (job, value) => this.#intake.complete(job, value),
    };
    this.#orphans = new Orphans(this.#terms.living);
    this.#worker = openWorker(this.#connection, name);
    this.#worker.on('error', this.#report);
    this.#leases = new Leases(
      {
        renew: (ids, tokens, ms) =>
          this.#worker.extendJobLocks(ids, tokens, ms),
      },
      settings.leaseMs,
    );
    this.#presence = new Presence(this.#connection, 'host', this.id, () =>
      JSON.stringify(this.#info),
    );
    this.#reader = new EventReader(
      this.#connection,
      this.#connection.keyOf('control'),
      (event) => {
        this.#onOrder(event);
      },
    );
    this.#intake = new Intake({
      connection: this.#connection,
      worker: this.#worker,
      pool: jobserverControl.pool(jobserver),
      gate: jobserverControl.gate(jobserver),
      host: this.id,
      hasRoom: (coming) => this.#jobs.size + coming < max,
      onJob: (job, token, since) => {
        this.#take(job, token, since);
      },
      onError: this.#report,
    });
    this.ready = this.#start();
    this.ready.catch(() => undefined);
  }

  get queue(): string {
    return this.#connection.settings.queue;
  }

  get slots(): number | undefined {
    return this.#jobserver.slots;
  }

  get running(): number {
    return this.#jobs.size;
  }

  get isConnected(): boolean {
    return this.#presence.age < this.#connection.settings.leaseMs;
  }

  observe(observer: HostObserver): () => void {
    this.#observers.add(observer);
    return () => {
      this.#observers.delete(observer);
    };
  }

  /** Takes no further jobs. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#failStart(new AbortError('The host was closed'));
    this.#intake.stop();
  }

  /** Sends the signal to the running jobs. A job that has not started never does. */
  terminate(signal: number): void {
    this.#endSignal = signal;
    for (const job of this.#jobs.values()) job.terminate(signal);
  }

  /** Resolves when the jobs have ended and the connections are closed. */
  async finish(): Promise<void> {
    await this.ready.catch(() => undefined);
    await this.#intakeEnd;
    while (this.#ends.size > 0) await Promise.all(this.#ends);
    clearInterval(this.#timer);
    this.#leases.stop();
    this.#presence.stop();
    await this.#reader.stop();
    await this.#connection.awaitEnd(this.#worker.close(true));
    await this.#connection.close();
  }

  get #info(): HostInfo {
    return {
      id: this.id,
      name: this.name,
      pid: process.pid,
      slots: this.slots,
      running: this.running,
      completed: this.completed,
      startedAt: this.#startedAt,
    };
  }

  async #start(): Promise<void> {
    const failed = new Promise<never>((_, reject) => {
      this.#failStart = reject;
    });
    const begin = async (): Promise<void> => {
      await this.#connection.checkPolicy();
      await this.#reader.start();
      await this.#presence.start();
    };
    const begun = begin();
    begun.catch(() => undefined);
    await Promise.race([begun, failed]);
    if (this.#isStopped) return;
    this.#timer = setInterval(() => {
      void this.#check();
    }, checkMsOf(this.#connection.settings));
    this.#intakeEnd = this.#intake.run();
  }

  /** Looks for jobs of dead hosts and of dead submitters. */
  async #check(): Promise<void> {
    try {
      await this.#worker.getBackend().moveStalledJobsToWait();
      await this.#orphans.check(this.#jobs.values());
    } catch {
      // The server is away; the leases end what has to end.
    }
  }

  #onOrder({ job: id = '', kind, signal }: StreamEvent): void {
    const job = this.#jobs.get(id);
    if (job === undefined) {
      // The answer with the job may still be on its way.
      if (kind === 'abort') this.#aborted.add(id);
    } else if (kind === 'abort') job.abort();
    else job.terminate(Number(signal));
  }

  #take(job: Job, token: Token, since: number): void {
    const end = this.#run(job, token, since).catch(this.#report);
    this.#ends.add(end);
    void end.finally(() => {
      this.#ends.delete(end);
      this.#intake.notify();
    });
  }

  async #run(job: Job, token: Token, since: number): Promise<void> {
    let envelope: CallEnvelope;
    try {
      if (this.#known.has(job.id!)) throw startedBefore(this.name);
      envelope = envelopeOf(this.#terms, job);
      this.#known.add(job.id!);
    } catch (error) {
      token.give();
      this.completed += 1;
      this.#tell('ended', refusedJob(job, error));
      // The host can close while the server is away.
      job.moveToFailed(errorOf(error), job.token!, false).catch(this.#report);
      return;
    }
    const hosted = new RunningHostedJob(this.#terms, job, envelope);
    this.#jobs.set(hosted.id, hosted);
    this.#leases.add(hosted.id, hosted.lockToken, since, () => {
      hosted.forfeit('The lease of the job has ended');
    });
    try {
      if (this.#aborted.has(hosted.id)) hosted.abort();
      // The queue sent this job only after `terminate` was called on this host.
      if (this.#endSignal !== undefined) hosted.terminate(this.#endSignal);
      await this.#runHosted(hosted, envelope, token);
    } finally {
      this.#leases.delete(hosted.id);
      this.#jobs.delete(hosted.id);
      this.completed += 1;
      this.#tell('ended', hosted);
      if (hosted.reason === orphanText) {
        await this.#connection.parcels.drop(envelope.args);
      }
    }
  }

  async #runHosted(
    hosted: RunningHostedJob,
    envelope: CallEnvelope,
    token: Token,
  ): Promise<void> {
    let isOurs = true;
    let plan, future;
    try {
      const call = await hosted.unlessForfeit(
        admit(this.#terms, hosted, envelope),
      );
      const handle = this.#handles.of(hosted, envelope);
      plan = jobserverControl.plan(handle, call, hosted.signal);
      hosted.throwIfOver();
      isOurs = false;
      future = jobserverControl.pool(handle).start(plan, token);
    } catch (error) {
      if (isOurs) token.give();
      await hosted.refuse(error);
      return;
    }
    const ended = hosted.follow(future, plan);
    this.#tell('started', hosted);
    await ended;
  }

  #tell(what: 'started' | 'ended', job: HostedJob): void {
    for (const observer of this.#observers) observer[what]?.(job);
  }
}
