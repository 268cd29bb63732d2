// What the system says of a process.
import { readFileSync } from 'node:fs';

/** The letter of /proc/<pid>/stat; 'X' when there is no such process. */
export function stateOf(pid: number): string {
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
