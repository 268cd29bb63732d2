// The process groups that workers lead.
import { constants } from 'node:os';
import type { Order } from '../protocol/order.js';
import { mostInt32 } from '../protocol/fds.js';
import { workerState } from '../protocol/worker-state.js';
import { errno, native } from '../system/binding.js';
import type { Fd } from '../system/fd.js';
import { selector } from '../system/selector.js';

const { SIGKILL } = constants.signals;

// The interval between two looks at a group that is to end.
const lookMs = 20;

/** How long the group of the worker may outlive it, in ms; -1: it leads none. */
export function groupGraceOf({
  processGroup,
  killGrace,
}: Pick<Order, 'processGroup' | 'killGrace'>): number {
  return processGroup ? Math.min(Math.ceil(killGrace), mostInt32) : -1;
}

/**
 * Called when the leader of a group is reaped, and SIGTERM was sent to what is left:
 * that gets SIGKILL after the grace period, or at the end of this process. Takes over
 * the fd. Keeps no event loop alive.
 */
export function endRemains(leader: number, exit: Fd, graceMs: number): void {
  const send = (signal: number): number => {
    const { number } = exit;
    const result = native.killWorker(leader, number, signal, 0, true);
    if (result !== -errno.ENOSYS) return result;
    return native.killWorker(leader, -1, signal, 0, true);
  };
  const isLeft = (): boolean => send(0) >= 0;
  if (graceMs === mostInt32 || !isLeft()) {
    exit.close();
    return;
  }
  const kill = (): void => {
    send(SIGKILL);
    exit.close();
    remains.delete(kill);
    if (remains.size === 0) process.removeListener('exit', killAll);
  };
  let leftMs = graceMs;
  const look = (): void => {
    if (leftMs <= 0 || !isLeft()) {
      kill();
      return;
    }
    const ms = Math.min(leftMs, lookMs);
    leftMs -= ms;
    selector.alarm(ms, look);
  };
  // A fork has copies of what its parent is to end.
  if (generation !== workerState.generation) remains.clear();
  generation = workerState.generation;
  if (remains.size === 0) process.on('exit', killAll);
  remains.add(kill);
  look();
}

/** What ends each group that is still to end. */
const remains = new Set<() => void>();
let { generation } = workerState;

// One listener for all, because node warns of many.
const killAll = (): void => {
  for (const kill of remains) kill();
};
