// How an executor ends its jobs: it takes back those that wait, and tells the hosts of
// those that run to end them.
import { type Connection, keptEvents } from './connection.js';
import type { Flight } from './flight.js';

export class Orders {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** The job is not to run, or not any longer. */
  async cancel(flight: Flight): Promise<void> {
    if (!(await this.takeBack(flight))) await this.end(flight, 'abort');
  }

  /** True when no host has begun the job, nor will. */
  async takeBack({ id }: Flight): Promise<boolean> {
    const { redis, queue } = this.#connection;
    // BullMQ's own removal resolves for jobs that have ended, too.
    const isOurs = await redis.zrem(queue.keys['prioritized']!, id);
    if (isOurs === 1) await queue.remove(id);
    return isOurs === 1;
  }

  /** All hosts read it; the one that runs the job ends it. */
  async end(
    { id }: Flight,
    kind: 'abort' | 'signal',
    signal = 0,
  ): Promise<void> {
    const { redis } = this.#connection;
    const key = this.#connection.keyOf('control');
    const fields = ['job', id, 'kind', kind, 'signal', signal];
    await redis.xadd(key, 'MAXLEN', '~', keptEvents, '*', ...fields);
  }
}
