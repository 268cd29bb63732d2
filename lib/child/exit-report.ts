// The handlers that Node calls when a worker ends. They report why it ends, if
// it has no result yet, and give its token back if it is an orphan.
import { constants } from 'node:os';
import { inspect } from 'node:util';
import { native } from '../system/binding.js';
import { encodeThrown } from '../wire/value.js';
import { currentAnswer } from './answer.js';
import { writeLastWords } from './output.js';
import { giveTokenBack } from './worker.js';

/** Node opens its inspector on SIGUSR1. The signal must end a job instead. */
export function resetInspectorSignal(): void {
  native.resetSignal(constants.signals.SIGUSR1);
}

export function reportEndings(isForked: boolean): void {
  process.on('beforeExit', () => {
    isIdle = true;
  });
  if (isForked) exitOnUncaught();
  else reportUncaught();
  process.on('exit', reportExit);
}

let isIdle = false;

export function reportExit(code: number): void {
  const answer = currentAnswer();
  if (answer === undefined) return;
  if (!answer.isSent) {
    const message = isIdle
      ? 'The promise of the job never settled, and nothing was left to do'
      : `process.exit(${code}) was called before the job had a result`;
    answer.send('lost', encodeThrown(new Error(message)));
  }
  if (answer.isOrphan()) giveTokenBack();
}

/** Whether the job listens to `exit`; if not, emitting it only costs time. */
export function hasExitListener(): boolean {
  const own = process.listenerCount('exit', reportExit);
  return process.listenerCount('exit') > own;
}

function reportUncaught(): void {
  process.on('uncaughtExceptionMonitor', (error) => {
    // A handler of the job decides whether the process ends.
    if (process.listenerCount('uncaughtException') > 0) return;
    if (process.hasUncaughtExceptionCaptureCallback()) return;
    currentAnswer()?.send('lost', encodeThrown(error));
  });
}

// Node's own exit waits for threads that a forked child does not have.
function exitOnUncaught(): void {
  process.on('uncaughtException', (error) => {
    if (process.listenerCount('uncaughtException') > 1) return;
    currentAnswer()?.send('lost', encodeThrown(error));
    writeLastWords(
      `Uncaught ${inspect(error)}\n\nNode.js ${process.version}\n`,
    );
    process.exit(1);
  });
}
