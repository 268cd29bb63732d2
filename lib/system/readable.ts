// Explains why a process cannot load a file. Node's loaders report a file in a
// folder that the process may not enter as one that does not exist.
import { closeSync, openSync } from 'node:fs';

/** An error with the code EACCES, or undefined when `file` can be read. */
export function whyUnreadable(file: string): Error | undefined {
  try {
    closeSync(openSync(file, 'r'));
    return undefined;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'EACCES') return undefined;
    const { geteuid, getegid } = process;
    const who = `user ${geteuid?.()} and group ${getegid?.()}`;
    const message = `EACCES: ${who} may not read ${file}, which the job needs`;
    return Object.assign(new Error(message, { cause }), { code });
  }
}

export function checkReadable(file: string): void {
  const error = whyUnreadable(file);
  if (error !== undefined) throw error;
}
