// Jobs that a process has been sent although it still runs another one, so that
// it can begin them at once. They have no slot yet. The process claims them in
// their order; until then, each can be taken back.
import type { Claims } from '../protocol/claims.js';
import { mostInline } from '../protocol/messages.js';
import type { Order } from '../protocol/order.js';
import type { Token } from '../slots/slot-pipe.js';

export interface AheadJob {
  readonly order: Order;
  /** It begins in the slot of the job before: it takes over the token. */
  onTurn(token: Token): void;
  /** It was taken back. */
  onReturn(): void;
}

export interface AheadEntry {
  readonly job: AheadJob;
  readonly number: number;
  /** Of its message, in bytes. */
  readonly length: number;
}

// A socket has room for this much that its worker has not read, besides one
// message. Claims have no words for more than 64 jobs.
const mostBytes = process.platform === 'linux' ? 64 << 10 : 2 << 10;
const mostJobs = 32;

export class AheadQueue {
  readonly #claims: Claims;
  readonly #entries: AheadEntry[] = [];
  #bytes = 0;

  constructor(claims: Claims) {
    this.#claims = claims;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** False when there is no room. */
  tryAdd(entry: AheadEntry): boolean {
    const bytes = this.#bytes + entry.length;
    if (this.#entries.length >= mostJobs || bytes > mostBytes) return false;
    if (entry.length > mostInline) return false;
    this.#claims.offer(entry.number);
    this.#entries.push(entry);
    this.#bytes = bytes;
    return true;
  }

  shift(): AheadEntry | undefined {
    const entry = this.#entries.shift();
    if (entry !== undefined) this.#bytes -= entry.length;
    return entry;
  }

  /** False when the process has claimed the job. */
  recall(job: AheadJob): boolean {
    const index = this.#entries.findIndex((entry) => entry.job === job);
    return index < 0 || this.#recallAt(index);
  }

  /** Takes back what the process has not claimed. */
  recallAll(): void {
    // The last one first, because the process claims them in their order.
    for (let i = this.#entries.length - 1; i >= 0; i--) {
      const { job } = this.#entries[i]!;
      if (!this.#recallAt(i)) return;
      job.onReturn();
    }
  }

  #recallAt(index: number): boolean {
    const { number, length } = this.#entries[index]!;
    if (!this.#claims.recall(number)) return false;
    this.#entries.splice(index, 1);
    this.#bytes -= length;
    return true;
  }
}
