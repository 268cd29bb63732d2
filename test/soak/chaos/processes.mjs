// The processes that a run of the chaos has started, whoever their parents are.
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

function read(path) {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // The process has ended.
    return '';
  }
}

/** A variable of the environment that every process of this run inherits. */
export const mark = `CHAOS_RUN=${process.env.CHAOS_RUN ?? process.pid}`;

/** All but this one, with their names. Zombies have no environment. */
export function processes() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => read(`/proc/${name}/environ`).split('\0').includes(mark))
    .map((name) => {
      const title = read(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim();
      return { pid: Number(name), title };
    });
}

/** Paths of the files that a process has open or mapped; none once it has ended. */
export function filesOf(pid) {
  const mapped = read(`/proc/${pid}/maps`).match(/\/.*/g) ?? [];
  return [...mapped, ...fdTargets(pid)];
}

/** Memory that was sent, which this process has open or mapped. */
export function sentMemory() {
  return filesOf('self').filter((path) => path.includes('memfd:jobserver'));
}

/** Children of this process that it has not reaped. */
export function zombies() {
  return readFileSync('/proc/thread-self/children', 'utf8')
    .split(' ')
    .filter((pid) => pid !== '')
    .filter((pid) => /\) Z /.test(read(`/proc/${pid}/stat`)));
}

function fdTargets(pid) {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).flatMap((fd) => {
      try {
        return readlinkSync(join(folder, fd));
      } catch {
        // It was closed, as that of the directory is.
        return [];
      }
    });
  } catch {
    return [];
  }
}

/** What kind each open fd of this process is. */
export function openFds() {
  return fdTargets('self')
    .map((target) => target.replace(/\d+/g, ''))
    .sort();
}

/** False when it was gone already. */
export function kill(pid, signal = 'SIGKILL') {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (error.code === 'ESRCH') return false;
    throw error;
  }
}
