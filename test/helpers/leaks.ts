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

interface Held {
  readonly fds: readonly string[];
  readonly children: readonly string[];
}

function held(): Held {
  return { fds: openFds(), children: children() };
}

/** What of `now` was not there before. */
function added(now: readonly string[], before: readonly string[]): string[] {
  const left = [...before];
  return now.filter((name) => {
    const index = left.indexOf(name);
    if (index >= 0) left.splice(index, 1);
    return index < 0;
  });
}

/**
 * Fails a test that leaves a descriptor or a child behind. Call it in a
 * describe block; `warmUp` opens what stays open for the process's life.
 */
export function checkLeaks(warmUp?: () => Promise<unknown>): void {
  let before: Held;
  // What others have dropped without closing it may go at any time.
  const leaked = (): Held => {
    const now = held();
    return {
      fds: added(now.fds, before.fds),
      children: added(now.children, before.children),
    };
  };
  beforeAll(async () => {
    await warmUp?.();
  });
  beforeEach(() => {
    before = held();
  });
  afterEach(async () => {
    const nothing = { fds: [], children: [] };
    const isClean = (): boolean => {
      const { fds, children } = leaked();
      return fds.length + children.length === 0;
    };
    await until('no leaked fd or child', isClean, 5000).catch(() => {
      expect(leaked()).toEqual(nothing);
    });
  });
}
