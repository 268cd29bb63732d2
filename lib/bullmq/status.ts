// What can be seen of a cluster from outside.
import { codedError } from '../errors.js';
import { inTime } from '../executor/in-time.js';
import { deadlineAfter } from '../system/deadline.js';
import { checkOptions } from '../system/options.js';
import { Connection } from './connection.js';
import { type ClusterOptions, clusterOptions, settingsOf } from './options.js';
import { livingHosts } from './presence.js';

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
export async function clusterStatus(
  options: ClusterOptions,
): Promise<ClusterStatus> {
  const settings = settingsOf(checkOptions(options, clusterOptions));
  const connection = new Connection(settings, () => undefined);
  connection.hold(true);
  const { queue } = settings;
  try {
    return await inTime(
      statusOf(connection, queue),
      deadlineAfter(patienceMs),
      () =>
        codedError(
          'ERR_JOBSERVER_CLUSTER',
          `The server does not answer: ${connection.lastError?.message ?? 'it is silent'}`,
        ),
    );
  } finally {
    await connection.close();
  }
}

const patienceMs = 5000;

async function statusOf(
  connection: Connection,
  name: string,
): Promise<ClusterStatus> {
  const { queue } = connection;
  const [hosts, counts, completed, failed] = await Promise.all([
    hostsOf(connection),
    countsOf(connection),
    queue.getMetrics('completed', 0, 0),
    queue.getMetrics('failed', 0, 0),
  ]);
  const lastMinute = {
    completed: Number(completed.data[0] ?? 0),
    failed: Number(failed.data[0] ?? 0),
  };
  return { queue: name, hosts, counts, lastMinute };
}

/** The hosts that are alive. */
export async function hostsOf(connection: Connection): Promise<HostInfo[]> {
  const texts = await livingHosts(connection);
  return texts.map((text) => JSON.parse(text) as HostInfo);
}

async function countsOf({ queue }: Connection): Promise<QueueCounts> {
  const counts = await queue.getJobCounts(
    'waiting',
    'prioritized',
    'active',
    'completed',
    'failed',
  );
  const of = (state: string): number => counts[state] ?? 0;
  return {
    pending: of('waiting') + of('prioritized'),
    running: of('active'),
    completed: of('completed'),
    failed: of('failed'),
  };
}
