import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { collectGarbage } from './collect.js';
import { isMemoryFile } from './memory-files.js';
import { until } from './until.js';

const hasProc = existsSync('/proc/self/fd');

/** The kinds of the open fds of this process, such as 'pipe:[]'. */
function openFds(): string[] {
  if (!hasProc) return [];
  const names: string[] = [];
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      const name = readlinkSync(`/proc/self/fd/${fd}`);
      // Without inode numbers, because only the number of pipes matters. The
      // directory that is being read is open as well.
      if (!name.includes('/proc/')) names.push(name.replace(/\d+/g, ''));
    } catch {
      // The fd was closed after the directory was read.
    }
  }
  return names.sort();
}

/** The children of this process, including zombies. */
function children(): string[] {
  if (!hasProc) return [];
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

/** The elements of `now` that are not in `before`. */
function added(now: readonly string[], before: readonly string[]): string[] {
  const left = [...before];
  return now.filter((name) => {
    const index = left.indexOf(name);
    if (index >= 0) left.splice(index, 1);
    return index < 0;
  });
}

/**
 * Fails each test of a describe block that leaves an open fd or a child behind.
 * `warmUp` opens fds that stay open until the process ends.
 */
export function checkLeaks(warmUp?: () => Promise<unknown>): void {
  let before: Held;
  // Fds and children of earlier tests may disappear at any time, so only added
  // ones count.
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
      // A large buffer has a file until it is collected.
      if (fds.some(isMemoryFile)) collectGarbage();
      return fds.length + children.length === 0;
    };
    await until('no leaked fd or child', isClean, 5000).catch(() => {
      const found = leaked();
      // Jest would wait for them at its end.
      for (const pid of found.children) process.kill(Number(pid), 'SIGKILL');
      expect(found).toEqual(nothing);
    });
  });
}
