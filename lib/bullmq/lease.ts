// The clock of the jobs of a host. In a partition, renewals do not fail: they hang. So a
// lease ends by this clock once its last renewal that was confirmed is too old.
import { clearInterval, setInterval } from 'node:timers';
import { now } from '../system/deadline.js';

interface Lease {
  readonly token: string;
  confirmedAt: number;
  /** Renewed no more. */
  isSettled: boolean;
  readonly onEnd: () => void;
}

export interface LeaseServer {
  /** Resolves with the ids of the jobs that the host does not hold any more. */
  renew(ids: string[], tokens: string[], ms: number): Promise<string[]>;
}

export class Leases {
  readonly #server: LeaseServer;
  readonly #ms: number;
  readonly #leases = new Map<string, Lease>();
  readonly #timer: NodeJS.Timeout;
  #renewedAt = -Infinity;
  #isRenewing = false;

  constructor(server: LeaseServer, ms: number) {
    this.#server = server;
    this.#ms = ms;
    this.#timer = setInterval(
      () => {
        this.#tick();
      },
      Math.max(5, ms / 20),
    );
    this.#timer.unref();
  }

  /** `since`: when its lock was asked for, or before. `onEnd` is called once, if ever. */
  add(id: string, token: string, since: number, onEnd: () => void): void {
    const lease = { token, confirmedAt: since, isSettled: false, onEnd };
    this.#leases.set(id, lease);
  }

  /**
   * From now on, the lease of this job is not renewed. The host calls this, and then tells
   * the server that the job has ended. In the other order, the server could refuse a
   * renewal in between, and the host would count the job as lost.
   */
  settle(id: string): void {
    const lease = this.#leases.get(id);
    if (lease !== undefined) lease.isSettled = true;
  }

  delete(id: string): void {
    this.#leases.delete(id);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const time = now();
    for (const [id, { confirmedAt }] of this.#leases) {
      if (time - confirmedAt >= this.#ms) this.#finish(id);
    }
    if (time - this.#renewedAt < this.#ms / 3 || this.#isRenewing) return;
    void this.#renew(time);
  }

  async #renew(time: number): Promise<void> {
    const held = [...this.#leases].filter(([, { isSettled }]) => !isSettled);
    if (held.length === 0) return;
    this.#renewedAt = time;
    this.#isRenewing = true;
    const ids = held.map(([id]) => id);
    const leases = held.map(([, lease]) => lease);
    const tokens = leases.map(({ token }) => token);
    try {
      const lost = await this.#server.renew(ids, tokens, this.#ms);
      for (const lease of leases) lease.confirmedAt = time;
      for (const id of lost) this.#finish(id);
    } catch {
      // The next one may succeed in time.
    } finally {
      this.#isRenewing = false;
    }
  }

  #finish(id: string): void {
    const lease = this.#leases.get(id);
    this.#leases.delete(id);
    lease?.onEnd();
  }
}
