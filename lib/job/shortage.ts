// Jobs that cannot start because this process has no more descriptors, processes
// or memory. Each end of another job of this process may free what they need, so
// they wait for it.
import { closePieces } from '../memory/pieces.js';
import { workerState } from '../protocol/worker-state.js';
import { Queue } from '../system/queue.js';

interface Waiter {
  /** False while something is still missing. */
  retry(): boolean;
}

const codes = new Set(['EAGAIN', 'EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);

const waiters = new Queue<Waiter>();
/** They end processes that have nothing to do. */
const reserves = new Set<() => void>();
let started = 0;
let { generation } = workerState;

/** A job has a process. */
export function addStarted(): void {
  forgetParent();
  started += 1;
}

/** Its process could not begin the job. */
export function removeRefused(): void {
  forgetParent();
  started -= 1;
}

/** Its process has ended. */
export function removeEnded(): void {
  removeRefused();
  retryWaiters();
}

/** Called when a job was refused: if no other runs, no end would cause a retry. */
export function retryIfNoneRuns(): void {
  if (started === 0) retryWaiters();
}

// The first that still lacks something keeps the others waiting.
function retryWaiters(): void {
  for (let first; (first = waiters.first) !== undefined;) {
    if (!first.retry()) return;
    waiters.delete(first);
  }
}

/**
 * If the error says that this process has no free descriptor (EMFILE), closes the
 * files of its large buffers. Returns whether it has closed any.
 */
export function freeDescriptors(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return code === 'EMFILE' && closePieces() > 0;
}

/** Whether the end of another job may mend the error. */
export function isShortage(error: unknown): boolean {
  forgetParent();
  const { code } = (error ?? {}) as { code?: unknown };
  return started > 0 && typeof code === 'string' && codes.has(code);
}

/** Retries when another job, or a process without a job, has ended. */
export function awaitEnd(waiter: Waiter): void {
  waiters.add(waiter);
  for (const endIdle of reserves) endIdle();
}

/** Calls `endIdle` when a job cannot start for lack of what idle processes hold. */
export function addReserve(endIdle: () => void): void {
  reserves.add(endIdle);
}

export function removeReserve(endIdle: () => void): void {
  reserves.delete(endIdle);
}

/** False when it does not wait. */
export function stopAwaitingEnd(waiter: Waiter): boolean {
  return waiters.delete(waiter);
}

// In a fork, the jobs are the parent's.
function forgetParent(): void {
  if (generation === workerState.generation) return;
  ({ generation } = workerState);
  started = 0;
  waiters.clear();
  reserves.clear();
}
