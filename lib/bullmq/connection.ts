// One connection to the server, and what executors, hosts and `clusterStatus` do with
// it: the queue of BullMQ, its keys, the store and the keyring.
import { codedError } from '../errors.js';
import { Keyring } from './keyring.js';
import type { ClusterSettings } from './options.js';
import {
  type Queue,
  type Redis,
  type RedisOptions,
  bullmq,
  ioredis,
} from './packages.js';
import { Parcels } from './parcels.js';
import { RedisValueStore } from './value-store.js';

/** How many leases without a word end the life of an executor or a host. */
export const presenceLeases = 2;

/** How often the server is asked for jobs of dead hosts. */
export function checkMsOf({ leaseMs }: ClusterSettings): number {
  return Math.max(20, Math.round(leaseMs / 2));
}

/**
 * After so many milliseconds without a reply, the network may have forgotten the
 * connection. Longer than what can be saved: the leases have ended.
 */
export function mostSilenceMs({ leaseMs }: ClusterSettings): number {
  return Math.max(7000, presenceLeases * leaseMs);
}

// Ended jobs are kept for dashboards, and for executors that have missed their end.
const keptJobs = { age: 3600, count: 5000 };

/** Of events of the queue, and of orders; BullMQ trims the former at each end of a job. */
export const keptEvents = 20_000;

export class Connection {
  readonly settings: ClusterSettings;
  readonly redis: Redis;
  readonly queue: Queue;
  readonly keyring: Keyring;
  readonly parcels: Parcels;
  /** What the server or the network has said last, if that was bad. */
  lastError: Error | undefined;
  readonly #all = new Set<Redis>();
  readonly #onError: (error: Error) => void;
  #holdsLoop = false;

  /** `onError`: called with each error; those of the network repeat. */
  constructor(settings: ClusterSettings, onError: (error: Error) => void) {
    this.settings = settings;
    this.#onError = (error) => {
      this.lastError = error;
      onError(error);
    };
    // Before a connection is open, because it throws.
    const { Queue: QueueClass } = bullmq();
    this.redis = this.open();
    const { queue, key, inlineBytes, leaseMs } = settings;
    this.queue = new QueueClass(queue, {
      connection: this.redis,
      ...this.queueOptions,
      lockDuration: leaseMs,
      streams: { events: { maxLen: keptEvents } },
      defaultJobOptions: {
        attempts: 1,
        removeOnComplete: keptJobs,
        removeOnFail: keptJobs,
      },
    } as never);
    this.queue.on('error', this.#onError);
    this.keyring = new Keyring(key, queue);
    const store =
      settings.store ?? new RedisValueStore(this.redis, this.keyOf('value.'));
    this.parcels = new Parcels(store, inlineBytes, key !== undefined);
  }

  /** Of the queue and the worker of BullMQ. */
  get queueOptions(): {
    readonly maxStalledCount: 0;
    readonly stalledInterval: number;
    readonly skipVersionCheck: true;
  } {
    return {
      // The check for stalled jobs starts none of them again.
      maxStalledCount: 0,
      stalledInterval: checkMsOf(this.settings),
      // With the check, BullMQ writes to the console what it thinks of the server.
      skipVersionCheck: true,
    };
  }

  /** A further connection, with the same fate as this one. */
  open(own: RedisOptions = {}): Redis {
    const { Redis: RedisClass } = ioredis();
    const { connection } = this.settings;
    const options = {
      // ioredis waits for so long for a server to close a connection, too, and BullMQ
      // closes one that is closed already, which would keep the process alive.
      disconnectTimeout: 0,
      ...(typeof connection === 'string' ? {} : connection),
      // Calls wait for the server, however long it is away.
      maxRetriesPerRequest: null,
      retryStrategy: (times: number) => Math.min(50 * times, 1000),
      ...own,
      replyMapping: 'legacy' as const,
    };
    const redis =
      typeof connection === 'string'
        ? new RedisClass(connection, options)
        : new RedisClass(options);
    redis.on('error', this.#onError);
    redis.on('ready', () => {
      this.lastError = undefined;
    });
    for (const event of ['connect', 'reconnecting']) {
      redis.on(event, () => {
        this.#applyHold(redis);
      });
    }
    this.#all.add(redis);
    return redis;
  }

  /** A key of our own beside those of BullMQ. */
  keyOf(name: string): string {
    return this.queue.toKey(name);
  }

  /** Whether the sockets keep the process alive. */
  hold(holds: boolean): void {
    if (holds === this.#holdsLoop) return;
    this.#holdsLoop = holds;
    for (const redis of this.#all) this.#applyHold(redis);
  }

  /**
   * Rejects when the server may evict keys, and when it is a server of a Redis Cluster,
   * which has only some of the keys.
   */
  async checkPolicy(): Promise<void> {
    const info = await this.redis.info();
    if (/^cluster_enabled:1/m.test(info)) {
      throw codedError(
        'ERR_JOBSERVER_CLUSTER',
        'The server is one of a Redis Cluster, which does not keep a queue on one ' +
          'server: use a Redis without cluster mode',
      );
    }
    const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? 'noeviction';
    if (policy === 'noeviction') return;
    throw codedError(
      'ERR_JOBSERVER_CLUSTER',
      `The server may evict jobs, because its maxmemory-policy is ${policy}: set ` +
        'it to noeviction',
    );
  }

  /** Awaits the end of a part of BullMQ. */
  async awaitEnd(closing: Promise<unknown>): Promise<void> {
    const closed = closing.catch(() => undefined);
    // BullMQ would wait for a client that the server never lets in.
    if (this.redis.status === 'ready') await closed;
  }

  async close(): Promise<void> {
    await this.awaitEnd(this.queue.close());
    for (const redis of this.#all) this.drop(redis);
  }

  /** Closes one of its connections at once. */
  drop(redis: Redis): void {
    this.#all.delete(redis);
    const { stream } = redis as unknown as Socketed;
    redis.disconnect();
    // Otherwise ioredis waits for up to 2 s for the server to close it, too.
    stream?.destroy?.();
  }

  #applyHold(redis: Redis): void {
    const { stream, reconnectTimeout } = redis as unknown as Socketed;
    for (const each of [stream, reconnectTimeout]) {
      if (this.#holdsLoop) each?.ref?.();
      else each?.unref?.();
    }
  }
}

/** What ioredis does not declare. */
interface Socketed {
  readonly stream?: { ref?(): void; unref?(): void; destroy?(): void };
  /** While it waits to connect again; null afterwards. */
  readonly reconnectTimeout?: { ref?(): void; unref?(): void } | null;
}

/** Whether the server refuses this client for good. */
export function isRefusal(error: Error): boolean {
  return /\b(WRONGPASS|NOAUTH|NOPERM)\b/.test(error.message);
}
