// The state of a process as the system reports it.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** A letter, as in ps(1): 'Z' is a zombie, and 'X' means no such process. */
export function stateOf(pid: number): string {
  if (!existsSync('/proc/self/stat')) {
    const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)]);
    return String(stdout)[0] ?? 'X';
  }
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return 'X';
  }
  // The process name, in parentheses before the state, may contain anything.
  return stat.slice(stat.lastIndexOf(')') + 2)[0]!;
}

/** Zombies do not count, even if this process has to reap them. */
export function isAlive(pid: number): boolean {
  return !'XZ'.includes(stateOf(pid));
}
