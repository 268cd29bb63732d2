// How a process becomes a worker: it joins the pool that runs its job, guards the
// token of the job, and follows its submitter.
import type { InheritedSlots } from '../protocol/fds.js';
import type { Head } from '../protocol/order.js';
import { workerState } from '../protocol/worker-state.js';
import { native } from '../system/binding.js';
import type { Answer } from './answer.js';

/** The descriptors of a job. */
export interface WorkerFds {
  /** The byte of the slot that the job holds, or -1. */
  readonly token: number;
  readonly resultFd: number;
  /** The first is that of the Jobserver which runs the job. */
  readonly slotPipes: readonly InheritedSlots[];
  /** The socket of the zygote that this process was forked from, or -1. */
  readonly forkserverFd: number;
}

export function enterWorker(
  { token, resultFd, slotPipes, forkserverFd }: WorkerFds,
  {
    context,
    preload,
    orphanSignal,
  }: Pick<Head, 'context' | 'preload' | 'orphanSignal'>,
): void {
  const [slots] = slotPipes;
  workerState.isWorker = true;
  workerState.ambient = slots && {
    reader: slots.reader,
    writer: slots.writer,
    slots: slots.count,
    context,
    preload,
    forkserverFd,
  };
  if (slots !== undefined && token >= 0 && orphanSignal > 0) {
    native.guardToken(orphanSignal, resultFd, slots.writer, token);
  }
  // Signals that arrived before the guard was installed are delivered now.
  native.unblockSignals();
}

/**
 * Requests the orphan signal. Called after `enterWorker`, because a signal that
 * arrived earlier would end the worker without giving the slot back. If the
 * submitter died before the request, the result pipe shows it.
 */
export function followSubmitter(orphanSignal: number, answer: Answer): void {
  if (orphanSignal === 0) return;
  // Fails on macOS, which has no such signal: orphans run on there.
  native.setDeathSignal(orphanSignal, process.ppid);
  if (answer.isOrphan()) process.kill(process.pid, orphanSignal);
}

/** For an orphan: a submitter that lives gives the slot back itself. */
export function giveTokenBack({
  token,
  slotPipes: [slots],
}: Pick<WorkerFds, 'token' | 'slotPipes'>): void {
  if (token < 0 || slots === undefined) return;
  native.write(slots.writer, Uint8Array.of(token), 0, 1);
}
