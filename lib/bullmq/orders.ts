// How an executor ends its jobs: it takes waiting jobs out of the queue, and orders hosts
// to end running ones.
import { type Connection, keptEvents } from './connection.js';
import type { Flight } from './flight.js';

// A request whose reply was lost is sent again, so that the job itself has to say that
// it was taken back. Its executor removes it then.
const takeBackScript = `
if redis.call('ZREM', KEYS[1], ARGV[1]) == 1 then
  redis.call('HSET', KEYS[2], 'takenBack', 1)
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
return redis.call('HEXISTS', KEYS[2], 'takenBack')`;
const markedMs = 3_600_000;

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
    const job = this.#connection.keyOf(id);
    // BullMQ's own removal resolves for jobs that have ended, too.
    const keys = [queue.keys['prioritized']!, job];
    const isOurs = await redis.eval(takeBackScript, 2, ...keys, id, markedMs);
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
