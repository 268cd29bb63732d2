// Jobs that a process has been sent although it still runs another one, so that
// it can begin them at once. They have no slot yet. The process claims them in
// their order; until then, each can be taken back.
import { type Claims, jobWords } from '../protocol/claims.js';
import type { Order } from '../protocol/order.js';
import type { ProcessJob } from './process-job.js';
import type { WorkerSocket } from './worker-socket.js';

export interface AheadJob {
  readonly order: Order;
  /** Its number in the process that it was sent to. */
  number: number;
  /** How many bytes had been sent ahead once the message of this job was complete. */
  end: number;
  /**
   * Starts the job in the slot of the job before it. This method calls `begin` first
   * and then publishes that the job has begun, because a listener may end the job at once.
   */
  onTurn(begin: (job: ProcessJob) => void): ProcessJob;
  /** It was taken back. */
  onReturn(): void;
}

// The most unread bytes that may be in a socket; two more messages still fit.
const mostBytes = process.platform === 'linux' ? 64 << 10 : 2 << 10;
const mostJobs = 32;

export class AheadQueue {
  readonly #claims: Claims;
  readonly #jobs: AheadJob[] = [];
  /** The number of the job that the process runs. */
  #current = 0;
  /** How many bytes of messages were sent ahead. */
  #sent = 0;
  /** How many of them the worker has read, because it has begun their jobs. */
  #read = 0;

  constructor(claims: Claims) {
    this.#claims = claims;
  }

  get size(): number {
    return this.#jobs.length;
  }

  /**
   * Whether a job may be added whose number follows `last`. Jobs that were taken
   * back count until the next one begins, because the worker may still read them.
   */
  hasRoomAfter(last: number): boolean {
    if (this.#jobs.length >= mostJobs) return false;
    if (this.#sent - this.#read >= mostBytes) return false;
    // Each has a word of its own. Numbers start again at 1 after a billion jobs.
    const others = last - this.#current;
    return others >= 0 && others < jobWords - 1;
  }

  /** Adds a job to what the socket sends. False where there is no room. */
  offer(job: AheadJob, socket: WorkerSocket, byte: number): boolean {
    if (!this.hasRoomAfter(socket.lastNumber)) return false;
    job.number = socket.nextNumber();
    const length = socket.add(job.number, job.order, byte);
    if (length === 0) return false;
    this.add(job, length);
    return true;
  }

  /** The process runs a job that was not sent ahead; nothing else was sent. */
  start(number: number): void {
    this.#current = number;
    this.#read = this.#sent;
  }

  /** Before the message of the job is sent, which has `length` bytes. */
  add(job: AheadJob, length: number): void {
    this.#claims.offer(job.number);
    this.#jobs.push(job);
    this.#sent += length;
    job.end = this.#sent;
  }

  /** The job that the process runs next. */
  shift(): AheadJob | undefined {
    const job = this.#jobs.shift();
    if (job === undefined) return undefined;
    this.#current = job.number;
    this.#read = job.end;
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
    if (!this.#claims.recall(this.#jobs[index]!.number)) return false;
    this.#jobs.splice(index, 1);
    return true;
  }
}
