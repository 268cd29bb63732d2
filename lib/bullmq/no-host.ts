// Warns once when calls wait and nobody is there to run them.
import { clearTimeout, setTimeout } from 'node:timers';
import type { Connection } from './connection.js';
import { livingHosts } from './presence.js';

export class NoHostWarning {
  readonly #connection: Connection;
  readonly #patienceMs: number;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(connection: Connection, patienceMs = 10_000) {
    this.#connection = connection;
    this.#patienceMs = patienceMs;
  }

  /** `isWaiting`: some call waits for a host. */
  watch(isWaiting: boolean): void {
    if (this.#isOver) return;
    if (!isWaiting) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#look();
    }, this.#patienceMs).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#isOver = true;
  }

  async #look(): Promise<void> {
    const { redis, settings, lastError } = this.#connection;
    if (redis.status !== 'ready') {
      const why = lastError === undefined ? '' : `: ${lastError.message}`;
      this.#warn(`the server cannot be reached${why}`, 'JOBSERVER_NO_SERVER');
      return;
    }
    const hosts = await livingHosts(this.#connection).catch(() => ['?']);
    if (hosts.length > 0 || this.#isOver) return;
    this.#warn(
      `no host serves the queue ${settings.queue}`,
      'JOBSERVER_NO_HOST',
    );
  }

  #warn(why: string, code: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const seconds = this.#patienceMs / 1000;
    process.emitWarning(
      `Calls of a ClusterExecutor have waited for ${seconds} s, because ${why}`,
      { type: 'JobserverWarning', code },
    );
  }
}
