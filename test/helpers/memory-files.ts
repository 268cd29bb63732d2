// The files in which large values travel: in memory, or temporary ones where the
// kernel has no such files. Without /proc, nothing is known of them.
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';

const hasProc = existsSync('/proc/self/fd');

export function isMemoryFile(name: string): boolean {
  return /\/(memfd:jobserver|jobserver-\w*) \(deleted\)$/.test(name);
}

/** How many this process has open. */
export function openMemoryFiles(): number {
  if (!hasProc) return 0;
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return isMemoryFile(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false; // that of the directory, which is closed again
    }
  }).length;
}

/** How many this process has mapped. */
export function mappedMemoryFiles(): number {
  if (!hasProc) return 0;
  const lines = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return lines.filter(isMemoryFile).length;
}
