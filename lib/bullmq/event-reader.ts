// Reads a stream of Redis from its present end, and goes on where it was after the
// connection was lost.
import { clearTimeout, setTimeout } from 'node:timers';
import type { Connection } from './connection.js';
import type { Redis } from './packages.js';

/** The fields of an entry. */
export type StreamEvent = Readonly<Record<string, string>>;

const blockMs = 5000;
/** Longer than that, the server or the network is silent. */
const patienceMs = 2000;
const refusedMs = 100;
const mostAtOnce = 1000;

export class EventReader {
  readonly #connection: Connection;
  readonly #redis: Redis;
  readonly #key: string;
  readonly #onEvent: (event: StreamEvent) => void;
  #last = '';
  #isStopped = false;
  #onStop: (() => void) | undefined;
  #end: Promise<void> | undefined;

  constructor(
    connection: Connection,
    key: string,
    onEvent: (event: StreamEvent) => void,
  ) {
    this.#connection = connection;
    // A read that is cut off is not sent again, because its place has moved on.
    this.#redis = connection.open({ autoResendUnfulfilledCommands: false });
    this.#key = key;
    this.#onEvent = onEvent;
  }

  /** Resolves when no later event will be missed. */
  async start(): Promise<void> {
    while (this.#last === '' && !this.#isStopped) {
      try {
        const [newest] = await this.#untilClosed(
          this.#redis.xrevrange(this.#key, '+', '-', 'COUNT', 1),
        );
        this.#last = newest?.[0] ?? '0-0';
      } catch (error) {
        if (!isConnectionError(error)) throw error;
        await this.#untilReady();
      }
    }
    this.#end = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#connection.drop(this.#redis);
    this.#onStop?.();
    await this.#end;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      let entries;
      try {
        entries = await this.#read();
      } catch {
        await this.#untilReady();
        continue;
      }
      for (const [id, fields] of entries) {
        this.#last = id;
        this.#onEvent(eventOf(fields));
      }
    }
  }

  /**
   * Waits for the next connection, because ioredis would keep all reads until then, and
   * send them one after the other. Waits a moment if the server has refused the read.
   */
  async #untilReady(): Promise<void> {
    if (this.#isStopped) return;
    const redis = this.#redis;
    await new Promise<void>((resolve) => {
      this.#onStop = resolve;
      if (redis.status === 'ready') setTimeout(resolve, refusedMs);
      else redis.once('ready', resolve);
    });
    this.#onStop = undefined;
  }

  async #read(): Promise<[string, string[]][]> {
    const timer = setTimeout(() => {
      this.#redis.disconnect(true);
    }, blockMs + patienceMs);
    timer.unref();
    try {
      const replies = await this.#untilClosed(
        this.#redis.xread(
          'COUNT',
          mostAtOnce,
          'BLOCK',
          blockMs,
          'STREAMS',
          this.#key,
          this.#last,
        ),
      );
      return replies?.[0]?.[1] ?? [];
    } finally {
      clearTimeout(timer);
    }
  }

  /** ioredis forgets a request that it is not to send again. */
  async #untilClosed<T>(request: Promise<T>): Promise<T> {
    request.catch(() => undefined);
    let onClose: () => void;
    const closed = new Promise<never>((_, reject) => {
      onClose = () => {
        reject(new Error('The connection is closed'));
      };
      this.#redis.once('close', onClose);
    });
    try {
      return await Promise.race([request, closed]);
    } finally {
      this.#redis.off('close', onClose!);
    }
  }
}

function isConnectionError(error: unknown): boolean {
  return !/^[A-Z]+ /.test((error as Error).message);
}

function eventOf(fields: readonly string[]): StreamEvent {
  const event: Record<string, string> = {};
  for (let i = 0; i < fields.length; i += 2) event[fields[i]!] = fields[i + 1]!;
  return event;
}
