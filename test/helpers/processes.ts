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

/** A file of each thread of a process; none of what has ended. */
function ofThreads(pid: number, file: string): [task: string, text: string][] {
  const folder = `/proc/${pid}/task`;
  try {
    return readdirSync(folder).map((task) => [
      task,
      readFileSync(`${folder}/${task}/${file}`, 'utf8'),
    ]);
  } catch {
    return [];
  }
}

/** The children of a process, and theirs. */
export function descendantsOf(pid: number): number[] {
  const children = ofThreads(pid, 'children')
    .flatMap(([, text]) => text.split(' '))
    .filter((child) => child !== '')
    .map(Number);
  return [...children, ...children.flatMap(descendantsOf)];
}

/** For each thread of a process, its state and how often it has stopped to run. */
export function threadsOf(pid: number): string[] {
  return ofThreads(pid, 'status').map(([task, status]) => {
    const facts = status.match(/^(State|\w*ctxt_switches):.*$/gm) ?? [];
    return `${pid}/${task} ${facts.join(' ')}`;
  });
}
