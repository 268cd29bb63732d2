// How each context starts a worker.
import type { Context } from '../context.js';
import { forkLauncher } from './fork.js';
import { forkserverLauncher } from './forkserver.js';
import type { Launcher } from './launcher.js';
import { spawnLauncher } from './spawn.js';

export const launchers: Readonly<Record<Context, Launcher>> = {
  forkserver: forkserverLauncher,
  spawn: spawnLauncher,
  fork: forkLauncher,
};
