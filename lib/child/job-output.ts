// The standard output and standard error of a process that runs several jobs: pipes of
// each job while it runs, and the null device between two of them.
import { constants } from 'node:fs';
import { devNull } from 'node:os';
import { errno, systemError } from '../system/binding.js';
import { type Fd, openFile } from '../system/fd.js';
import { enterOutput } from './output.js';

let sink: Fd | undefined;
let isEntered = false;

/** Takes over the files. Throws where they did not arrive. */
export function enterPipes([stdout, stderr]: readonly Fd[]): void {
  try {
    if (stdout!.number < 0 || stderr!.number < 0) {
      throw systemError(-errno.EMFILE, 'receive the streams');
    }
    enterOutput(stdout!.number, stderr!.number);
    isEntered = true;
  } finally {
    stdout!.close();
    stderr!.close();
  }
}

/** The submitter finds nothing more in the pipes from now on. */
export function leavePipes(): void {
  if (!isEntered) return;
  isEntered = false;
  sink ??= openFile(devNull, constants.O_WRONLY);
  enterOutput(sink.number, sink.number);
}
