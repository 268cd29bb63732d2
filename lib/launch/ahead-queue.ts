// Jobs that a process has been sent although it still runs another one, so that
// it can begin them at once. They have no slot yet. The process claims them in
// their order; until then, each can be taken back.
import type { Claims } from '../protocol/claims.js';
import type { Order } from '../protocol/order.js';
import type { ProcessJob } from './process-job.js';

export interface AheadJob {
  readonly order: Order;
  /** Its number in the process that it was sent to, and its bytes. */
  number: number;
  length: number;
  /** It begins in the slot of the job before. */
  onTurn(): ProcessJob;
  /** It was taken back. */
  onReturn(): void;
}

// A socket has room for this much that its worker has not read, besides two
// messages. Claims have no words for more than 64 jobs.
const mostBytes = process.platform === 'linux' ? 64 << 10 : 2 << 10;
const mostJobs = 32;

export class AheadQueue {
  readonly #claims: Claims;
  readonly #jobs: AheadJob[] = [];
  #bytes = 0;

  constructor(claims: Claims) {
    this.#claims = claims;
  }

  get size(): number {
    return this.#jobs.length;
  }

  get hasRoom(): boolean {
    return this.#jobs.length < mostJobs && this.#bytes < mostBytes;
  }

  /** Before the message of the job is sent. */
  add(job: AheadJob): void {
    this.#claims.offer(job.number);
    this.#jobs.push(job);
    this.#bytes += job.length;
  }

  shift(): AheadJob | undefined {
    const job = this.#jobs.shift();
    if (job !== undefined) this.#bytes -= job.length;
    return job;
  }

  /** False when the process has claimed the job. */
  recall(job: AheadJob): boolean {
    const index = this.#jobs.indexOf(job);
    return index < 0 || this.#recallAt(index);
  }

  has(job: AheadJob): boolean {
    return this.#jobs.includes(job);
  }

  /** Takes back what the process has not claimed. */
  recallAll(): void {
    // The last one first, because the process claims them in their order.
    for (let i = this.#jobs.length - 1; i >= 0; i--) {
      const job = this.#jobs[i]!;
      if (this.#recallAt(i)) job.onReturn();
    }
  }

  #recallAt(index: number): boolean {
    const { number, length } = this.#jobs[index]!;
    if (!this.#claims.recall(number)) return false;
    this.#jobs.splice(index, 1);
    this.#bytes -= length;
    return true;
  }
}
