// The launcher of each context.
import type { Context } from '../context.js';
import type { Launcher } from './launcher.js';
import { spawnLauncher } from './spawn.js';

export const launchers: Readonly<Record<Context, Launcher>> = {
  spawn: spawnLauncher,
};
