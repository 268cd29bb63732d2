// Who is alive: a key of each executor and each host, which ends unless it is renewed.
import { clearInterval, setInterval } from 'node:timers';
import { now } from '../system/deadline.js';
import {
  type Connection,
  checkMsOf,
  mostSilenceMs,
  presenceLeases,
} from './connection.js';

type Party = 'executor' | 'host';

export class Presence {
  readonly #connection: Connection;
  readonly #party: Party;
  readonly #id: string;
  readonly #describe: () => string;
  #timer: NodeJS.Timeout | undefined;
  #confirmedAt = -Infinity;
  #isRenewing = false;
  /** Since when this connection owes a reply. */
  #askedAt = 0;

  /** `describe`: what others can read. */
  constructor(
    connection: Connection,
    party: Party,
    id: string,
    describe: () => string,
  ) {
    this.#connection = connection;
    this.#party = party;
    this.#id = id;
    this.#describe = describe;
  }

  /** Milliseconds since the server has confirmed it last. */
  get age(): number {
    return now() - this.#confirmedAt;
  }

  async start(): Promise<void> {
    const { leaseMs } = this.#connection.settings;
    this.#timer = setInterval(
      () => {
        void this.renew().catch(() => undefined);
      },
      Math.max(10, leaseMs / 3),
    );
    this.#timer.unref();
    await this.renew();
  }

  async renew(): Promise<void> {
    if (this.#isRenewing) {
      this.#endSilence();
      return;
    }
    this.#isRenewing = true;
    this.#askedAt = now();
    try {
      await this.announce();
    } finally {
      this.#isRenewing = false;
    }
  }

  /** The requests that have no reply go through another connection. */
  #endSilence(): void {
    const { redis, settings } = this.#connection;
    const silenceMs = now() - this.#askedAt;
    if (redis.status !== 'ready' || silenceMs < mostSilenceMs(settings)) return;
    this.#askedAt = now();
    redis.disconnect(true);
  }

  /** Sends the command at once, before any other that follows. */
  async announce(): Promise<void> {
    const time = now();
    const { redis, settings } = this.#connection;
    const ttl = presenceLeases * settings.leaseMs;
    const isHost = this.#party === 'host';
    await Promise.all([
      redis.set(this.#key, this.#describe(), 'PX', ttl),
      isHost && redis.sadd(this.#connection.keyOf('hosts'), this.#id),
    ]);
    this.#confirmedAt = time;
  }

  /** Does not wait for the server if that is away. */
  stop(): void {
    clearInterval(this.#timer);
    const { redis } = this.#connection;
    if (redis.status !== 'ready') return;
    redis.unlink(this.#key).catch(() => undefined);
    if (this.#party !== 'host') return;
    redis
      .srem(this.#connection.keyOf('hosts'), this.#id)
      .catch(() => undefined);
  }

  get #key(): string {
    return presenceKey(this.#connection, this.#party, this.#id);
  }
}

function presenceKey(connection: Connection, party: Party, id: string): string {
  return connection.keyOf(`${party}.${id}`);
}

/** Which executors are alive, as a host knows it. */
export class LivingExecutors {
  readonly #connection: Connection;
  /** When the server has said last that they are. */
  readonly #seenAt = new Map<string, number>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Asks the server, unless it has said so within the time between two checks. */
  async has(id: string): Promise<boolean> {
    const seenAt = this.#seenAt.get(id) ?? -Infinity;
    if (now() - seenAt < checkMsOf(this.#connection.settings)) return true;
    return (await this.among([id])).has(id);
  }

  /** Asks the server which of these are. */
  async among(ids: readonly string[]): Promise<Set<string>> {
    const time = now();
    const ms = checkMsOf(this.#connection.settings);
    for (const [id, seenAt] of this.#seenAt) {
      if (time - seenAt >= ms) this.#seenAt.delete(id);
    }
    if (ids.length === 0) return new Set();
    const keys = ids.map((id) => presenceKey(this.#connection, 'executor', id));
    const found = await this.#connection.redis.mget(keys);
    const living = ids.filter((_, i) => found[i] !== null);
    for (const id of living) this.#seenAt.set(id, time);
    return new Set(living);
  }
}

/** What the hosts that are alive say about themselves. */
export async function livingHosts(connection: Connection): Promise<string[]> {
  const { redis } = connection;
  const list = connection.keyOf('hosts');
  const ids = await redis.smembers(list);
  if (ids.length === 0) return [];
  const keys = ids.map((id) => presenceKey(connection, 'host', id));
  const found = await redis.mget(keys);
  const gone = ids.filter((_, i) => found[i] === null);
  if (gone.length > 0) await redis.srem(list, ...gone);
  return found.filter((text) => text !== null);
}
