// What the system says of a process.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** 'Z' for a zombie, 'X' when there is no such process. */
export function stateOf(pid: number): string {
  if (process.platform !== 'linux') {
    const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)]);
    return String(stdout)[0] ?? 'X';
  }
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return 'X';
  }
  // The name before it may have anything in it.
  return stat.slice(stat.lastIndexOf(')') + 2)[0]!;
}

/** A zombie is nobody, whoever has to reap it. */
export function isAlive(pid: number): boolean {
  return !'XZ'.includes(stateOf(pid));
}
