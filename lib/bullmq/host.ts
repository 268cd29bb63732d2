// A machine's share in a cluster: what users hold.
import { constants } from 'node:os';
import { invalidArgument, invalidValue } from '../errors.js';
import { Jobserver } from '../jobserver.js';
import {
  type OptionNames,
  checkBoolean,
  checkMost,
  checkOptions,
} from '../system/options.js';
import type { HostObserver } from './hosted-job.js';
import { Hosting } from './hosting.js';
import { type ClusterOptions, clusterOptions, settingsOf } from './options.js';

/**
 * Options of {@link ClusterHost | new ClusterHost()}.
 *
 * @example
 * ```js
 * const jobserver = new Jobserver({ slots: 8, jobsPerProcess: 100 });
 * const host = new ClusterHost({ connection: 'redis://db', jobserver });
 * ```
 */
export interface ClusterHostOptions extends ClusterOptions {
  /**
   * Whose slots, processes and controls the jobs get. Default: `new Jobserver()`,
   * which `close` closes. Not one of the fork context.
   */
  jobserver?: Jobserver | undefined;
  /** The most jobs at once, 1 or more. Default: as many as there are slots. */
  max?: number | undefined;
  /** The name that errors and `hosts()` show. Default: that of the machine. */
  name?: string | undefined;
}

/**
 * Options of {@link ClusterHost.close}.
 *
 * @example
 * ```js
 * await host.close({ drain: false });
 * ```
 */
export interface HostCloseOptions {
  /** Whether to wait for the running jobs (default), or to end them. */
  drain?: boolean | undefined;
}

const hostOptions: OptionNames<ClusterHostOptions> = {
  ...clusterOptions,
  jobserver: true,
  max: true,
  name: true,
};
const closeOptions: OptionNames<HostCloseOptions> = { drain: true };

/**
 * Runs the jobs of a queue on this machine, in processes of their own. It keeps the
 * process alive until it is closed.
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
  readonly #hosting: Hosting;
  readonly #owned: Jobserver | undefined;
  #end: Promise<void> | undefined;

  /**
   * @throws TypeError or RangeError for an invalid option; ERR_JOBSERVER_CLUSTER when
   * bullmq or ioredis is not installed, and when `root` does not exist; otherwise as
   * `new Jobserver()` does.
   */
  constructor(options: ClusterHostOptions) {
    const {
      jobserver,
      max = Infinity,
      name,
    } = checkOptions(options, hostOptions);
    if (jobserver !== undefined && !(jobserver instanceof Jobserver)) {
      throw invalidArgument('jobserver', 'a Jobserver', jobserver);
    }
    if (name !== undefined && typeof name !== 'string') {
      throw invalidArgument('name', 'a string', name);
    }
    const settings = settingsOf(options);
    checkMost(max, 'max', 1);
    this.#owned = jobserver === undefined ? new Jobserver() : undefined;
    const pool = jobserver ?? this.#owned!;
    if (pool.context === 'fork') {
      throw invalidValue(
        'jobserver',
        'one of another context, because the fork context has no names of functions',
        pool.context,
      );
    }
    try {
      this.#hosting = new Hosting(settings, pool, { max, name });
    } catch (error) {
      void this.#owned?.close();
      throw error;
    }
  }

  /** Of this host; no other host has it. */
  get id(): string {
    return this.#hosting.id;
  }

  /** The name that errors and `hosts()` show. */
  get name(): string {
    return this.#hosting.name;
  }

  /** The name of the queue, with the version. */
  get queue(): string {
    return this.#hosting.queue;
  }

  /** The number of slots; undefined where GNU Make owns them. */
  get slots(): number | undefined {
    return this.#hosting.slots;
  }

  /** The number of jobs that the host has taken and that have not ended. */
  get running(): number {
    return this.#hosting.running;
  }

  /** The number of jobs that have ended. */
  get completed(): number {
    return this.#hosting.completed;
  }

  /** Whether the server has answered within the last lease. */
  get isConnected(): boolean {
    return this.#hosting.isConnected;
  }

  /**
   * Resolves when the host takes jobs; waits for a server that cannot be reached.
   *
   * @throws ERR_JOBSERVER_CLUSTER when the server may evict keys; an Error when the
   * server refuses this client. The host is to be closed then.
   */
  ready(): Promise<void> {
    return this.#hosting.ready;
  }

  /**
   * Calls the functions of `observer`, until the function that it returns is called.
   *
   * @example
   * ```js
   * const stop = host.observe({ started: ({ name }) => console.log(name) });
   * ```
   */
  observe(observer: HostObserver): () => void {
    return this.#hosting.observe(observer);
  }

  /**
   * Takes no further jobs, waits for the running ones, and leaves the cluster. With
   * `drain: false`, which a later call can also give, running jobs get SIGTERM, and
   * SIGKILL after their `killGrace`; they are lost, as is a job that is about to start.
   *
   * @throws TypeError for an invalid option.
   */
  async close(options: HostCloseOptions = {}): Promise<void> {
    const { drain = true } = checkOptions(options, closeOptions);
    checkBoolean(drain, 'drain');
    this.#hosting.stop();
    if (!drain) this.#hosting.terminate(constants.signals.SIGTERM);
    this.#end ??= this.#finish();
    await this.#end;
  }

  /** {@link ClusterHost.close}, as `await using` calls it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #finish(): Promise<void> {
    await this.#hosting.finish();
    await this.#owned?.close();
  }
}
