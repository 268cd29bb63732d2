// Where values are kept that are too large for the text of a job.
import { codedError } from '../errors.js';
import type { Redis } from './packages.js';

/**
 * Keeps the large values of a cluster: arguments and results that are longer than
 * `inlineBytes`. By default they are in the Redis of the queue. An executor and its
 * hosts need stores with the same content.
 *
 * @example
 * ```js
 * const folder = '/mnt/shared'; // which all machines see
 * const store = {
 *   put: (key, bytes) => writeFile(join(folder, key), bytes),
 *   get: (key) => readFile(join(folder, key)),
 *   drop: (key) => rm(join(folder, key), { force: true }),
 * };
 * const executor = new ClusterExecutor({ connection, store });
 * ```
 */
export interface ValueStore {
  /**
   * Keeps the bytes under this key, for `ttlMs` milliseconds or longer. A key has
   * letters, digits, '-' and '.', and is used once. When it rejects, the call fails with
   * ERR_JOBSERVER_CLUSTER, and is not started again.
   */
  put(key: string, bytes: Uint8Array, ttlMs: number): Promise<void>;
  /** Resolves with the bytes; rejects when there are none. */
  get(key: string): Promise<Uint8Array>;
  /** Forgets the bytes. Resolves also when there are none. */
  drop(key: string): Promise<void>;
}

// Redis serves no other client while it receives or sends one command. Raw chunks of this
// size cost a tenth of what one text of 64 MiB costs.
const chunkBytes = 1 << 20;

// So many chunks are on their way at once.
const mostAtOnce = 8;

/** The default: each chunk is a string in Redis. */
export class RedisValueStore implements ValueStore {
  readonly #redis: Redis;
  readonly #prefix: string;

  /** `prefix`: of the keys in Redis. */
  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  async put(key: string, bytes: Uint8Array, ttlMs: number): Promise<void> {
    const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const count = chunksIn(all.length);
    const putChunk = (i: number): Promise<unknown> => {
      const chunk = all.subarray(i * chunkBytes, (i + 1) * chunkBytes);
      // The first one begins with the length of all, which `get` needs.
      const value =
        i === 0 ? Buffer.concat([Buffer.from(`${all.length}:`), chunk]) : chunk;
      return this.#redis.set(this.#keyOf(key, i), value, 'PX', ttlMs);
    };
    try {
      await eachOf(count, putChunk);
    } catch (error) {
      // Those that were stored may be what has filled the memory.
      await this.#unlink(key, count).catch(() => undefined);
      throw error;
    }
  }

  async get(key: string): Promise<Uint8Array> {
    const first = await this.#chunk(key, 0);
    const colon = first.indexOf(0x3a);
    const length = Number(first.toString('latin1', 0, colon));
    const rest = chunksIn(length) - 1;
    if (rest === 0) return first.subarray(colon + 1);
    const all = Buffer.allocUnsafeSlow(length);
    first.copy(all, 0, colon + 1);
    await eachOf(rest, async (i) => {
      const chunk = await this.#chunk(key, i + 1);
      chunk.copy(all, (i + 1) * chunkBytes);
    });
    return all;
  }

  async drop(key: string): Promise<void> {
    const first = await this.#redis.getrange(this.#keyOf(key, 0), 0, 15);
    const count = chunksIn(Number.parseInt(`0${first}`, 10));
    await this.#unlink(key, count);
  }

  async #unlink(key: string, count: number): Promise<void> {
    const keys = Array.from({ length: count }, (_, i) => this.#keyOf(key, i));
    await this.#redis.unlink(...keys);
  }

  async #chunk(key: string, index: number): Promise<Buffer> {
    const chunk = await this.#redis.getBuffer(this.#keyOf(key, index));
    if (chunk !== null) return chunk;
    throw codedError(
      'ERR_JOBSERVER_CLUSTER',
      `The value ${key} is not in Redis any more`,
    );
  }

  #keyOf(key: string, index: number): string {
    return `${this.#prefix}${key}:${index}`;
  }
}

function chunksIn(length: number): number {
  return Math.max(1, Math.ceil(length / chunkBytes));
}

/** Runs it for the indexes below `count`, several at once. None runs once it rejects. */
async function eachOf(
  count: number,
  run: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const runInTurn = async (): Promise<void> => {
    try {
      while (next < count) await run(next++);
    } finally {
      next = count;
    }
  };
  const turns = Array.from({ length: mostAtOnce }, runInTurn);
  await Promise.allSettled(turns);
  await Promise.all(turns);
}
