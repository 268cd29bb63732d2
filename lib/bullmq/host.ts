// A machine's share in a cluster: takes jobs from the queue as it has slots for them.
import type { Jobserver } from '../jobserver.js';
import type { HostObserver } from './hosted-job.js';
import type { ClusterOptions } from './options.js';

/** Options of {@link ClusterHost | new ClusterHost()}. */
export interface ClusterHostOptions extends ClusterOptions {
  /** Whose slots the jobs take. Default: `new Jobserver()`, which `close` closes. */
  jobserver?: Jobserver | undefined;
  /** The most jobs at once, 1 or more. Default: as many as there are slots. */
  max?: number | undefined;
  /** The name that errors and `hosts()` show. Default: the host name. */
  name?: string | undefined;
}

/** Options of {@link ClusterHost.close}. See there. */
export interface HostCloseOptions {
  /** Whether to wait for the running jobs (default), or to end them. */
  drain?: boolean | undefined;
}

/**
 * Runs the jobs of a queue on this machine, in processes of their own.
 *
 * @example
 * ```js
 * import { ClusterHost } from 'jobserver/bullmq';
 *
 * const host = new ClusterHost({ connection: 'redis://db', queue: 'ci' });
 * await host.ready();
 * process.once('SIGTERM', () => host.close());
 * ```
 */
export class ClusterHost implements AsyncDisposable {
  constructor(options: ClusterHostOptions) {
    void options;
  }

  /** Of this host; no other host has it. */
  get id(): string {
    throw new Error('not built yet');
  }

  /** The name that errors and `hosts()` show. */
  get name(): string {
    throw new Error('not built yet');
  }

  /** The name of the queue, with the version. */
  get queue(): string {
    throw new Error('not built yet');
  }

  /** The number of slots; undefined where GNU Make owns them. */
  get slots(): number | undefined {
    throw new Error('not built yet');
  }

  /** The number of jobs that run. */
  get running(): number {
    throw new Error('not built yet');
  }

  /** The number of jobs that have ended. */
  get completed(): number {
    throw new Error('not built yet');
  }

  /** Whether the server has answered within the last lease. */
  get isConnected(): boolean {
    throw new Error('not built yet');
  }

  /**
   * Resolves when the host takes jobs.
   *
   * @throws ERR_JOBSERVER_CLUSTER when the server can evict keys.
   */
  ready(): Promise<void> {
    throw new Error('not built yet');
  }

  /** Calls the functions of `observer` until the function that it returns is called. */
  observe(observer: HostObserver): () => void {
    void observer;
    throw new Error('not built yet');
  }

  /**
   * Takes no further jobs, waits for the running ones, and leaves the cluster. With
   * `drain: false`, which a later call can also give, running jobs get SIGTERM, and
   * SIGKILL after their `killGrace`; they are lost.
   */
  close(options: HostCloseOptions = {}): Promise<void> {
    void options;
    throw new Error('not built yet');
  }

  /** {@link ClusterHost.close}, as `await using` calls it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
