// What can be seen of a cluster from outside.
import type { ClusterOptions } from './options.js';

/**
 * A host of a cluster, as it has described itself within the last two leases.
 *
 * @example
 * ```js
 * for (const { name, running, slots } of await executor.hosts()) {
 *   console.log(`${name}: ${running} of ${slots} slots`);
 * }
 * ```
 */
export interface HostInfo {
  /** Of this host; no other host has it. */
  readonly id: string;
  /** The host name of the machine. */
  readonly name: string;
  /** Of the process of the host. */
  readonly pid: number;
  /** Undefined where GNU Make owns the slots. */
  readonly slots: number | undefined;
  /** The jobs that run there. */
  readonly running: number;
  /** The jobs that have ended there. */
  readonly completed: number;
  /** When the host was started, in milliseconds since 1970 by its clock. */
  readonly startedAt: number;
}

/** The numbers of jobs of a queue. See {@link clusterStatus}. */
export interface QueueCounts {
  /** Jobs that no host has started. */
  readonly pending: number;
  /** Jobs that a host runs. */
  readonly running: number;
  /** Jobs that have returned, as far as they are kept. */
  readonly completed: number;
  /** Jobs that have failed, as far as they are kept. */
  readonly failed: number;
}

/** What {@link clusterStatus} returns. */
export interface ClusterStatus {
  /** The name of the queue, with the version. */
  readonly queue: string;
  /** The hosts that are alive. */
  readonly hosts: readonly HostInfo[];
  /** How many jobs there are. */
  readonly counts: QueueCounts;
  /** Jobs in the last whole minute. */
  readonly lastMinute: {
    /** Those that have returned. */
    readonly completed: number;
    /** Those that have failed. */
    readonly failed: number;
  };
}

/**
 * Looks at a cluster, for a moment.
 *
 * @example
 * ```js
 * const { hosts, counts } = await clusterStatus({ connection: 'redis://db' });
 * console.log(`${counts.pending} jobs wait for ${hosts.length} hosts`);
 * ```
 *
 * @param options - As those of an executor; only `connection`, `queue` and `version`
 * matter.
 * @throws TypeError or RangeError for an invalid option; ERR_JOBSERVER_CLUSTER when
 * the server cannot be reached within 5 seconds.
 */
export function clusterStatus(options: ClusterOptions): Promise<ClusterStatus> {
  void options;
  throw new Error('not built yet');
}
