// The state of a process as the system reports it.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';

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

/** The children of a process, and theirs. */
export function descendantsOf(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`)
    .flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' '),
    )
    .filter((child) => child !== '')
    .map(Number);
  return [...children, ...children.flatMap(descendantsOf)];
}

/** For each thread of a process, its state and how often it has stopped to run. */
export function threadsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).map((task) => {
    const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
    const facts = status.match(/^(State|\w*ctxt_switches):.*$/gm);
    return `${pid}/${task} ${facts!.join(' ')}`;
  });
}
