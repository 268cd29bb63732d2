import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { until } from './until.js';

const isLinux = process.platform === 'linux';

/** The open descriptors of this process, by what they are. */
function openFds(): string[] {
  if (!isLinux) return [];
  const names: string[] = [];
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      const name = readlinkSync(`/proc/self/fd/${fd}`);
      // Inodes tell pipes apart, but a leak is a matter of their number; the
      // directory that is being read shows up as itself.
      if (!name.includes('/proc/')) names.push(name.replace(/\d+/g, ''));
    } catch {
      // Closed since the directory was read.
    }
  }
  return names.sort();
}

/** The children of all threads of this process, zombies included. */
function children(): string[] {
  if (!isLinux) return [];
  return readdirSync('/proc/self/task')
    .flatMap((tid) =>
      readFileSync(`/proc/self/task/${tid}/children`, 'utf8').split(' '),
    )
    .filter((pid) => pid !== '')
    .sort();
}

function state(): string {
  return JSON.stringify({ fds: openFds(), children: children() }, null, 1);
}

/**
 * Fails a test that leaves a descriptor or a child behind. Call it in a
 * describe block; `warmUp` opens what stays open for the process's life.
 */
export function checkLeaks(warmUp?: () => Promise<unknown>): void {
  let before = '';
  beforeAll(async () => {
    await warmUp?.();
  });
  beforeEach(() => {
    before = state();
  });
  afterEach(async () => {
    await until('no leaked fd or child', () => state() === before, 5000).catch(
      () => {
        // The difference tells what has leaked.
        expect(JSON.parse(state())).toEqual(JSON.parse(before));
      },
    );
  });
}
