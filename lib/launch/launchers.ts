// How each context starts a worker.
import type { Context } from '../context.js';
import type { Order } from '../protocol/order.js';
import { forkLauncher } from './fork.js';
import { forkserverLauncher } from './forkserver.js';
import type { Launcher } from './launcher.js';
import { obstacleTo } from './obstacle.js';
import { spawnLauncher } from './spawn.js';
import type { ZygoteStart } from './zygote-client.js';

export const launchers: Readonly<Record<Context, Launcher>> = {
  forkserver: forkserverLauncher,
  spawn: spawnLauncher,
  fork: forkLauncher,
};

export type JobStart = ZygoteStart & Pick<Order, 'context'>;

/** The context that a job gets: it is spawned where no zygote can start. */
export function contextOf(start: JobStart): Context {
  const { context } = start;
  if (context !== 'forkserver') return context;
  return obstacleTo(start) === undefined ? context : 'spawn';
}
