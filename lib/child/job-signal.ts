// The AbortSignal of the job that this process runs. Once a job has asked for it,
// signals that ask the process to end do not end it: the guard writes a byte to a
// pipe instead, and remembers which signal it was.
import { constants } from 'node:os';
import { workerState } from '../protocol/worker-state.js';
import { check, native } from '../system/binding.js';
import { openPipe } from '../system/fd.js';
import { selector } from '../system/selector.js';
import { signalName } from '../system/signals.js';

const { SIGTERM, SIGINT, SIGHUP } = constants.signals;

/** Of the present job. */
let controller: AbortController | undefined;

/** Each call also looks whether the job was asked to end. */
export function signalOfJob(orphanSignal: number): AbortSignal {
  controller ??= listen(orphanSignal);
  const fed = new Int32Array(2);
  if (!controller.signal.aborted) native.fedSignal(fed);
  const [signal, runTimeout] = fed as unknown as [number, number];
  if (signal !== 0) controller.abort(reasonOf(signal, runTimeout));
  return controller.signal;
}

function listen(orphanSignal: number): AbortController {
  const { reader, writer } = openPipe('a pipe for the signal of the job');
  const numbers = new Set([SIGTERM, SIGINT, SIGHUP]);
  if (orphanSignal > 0) numbers.add(orphanSignal);
  const end = (): void => {
    for (const number of numbers) native.feedSignal(number, -1);
    native.forgetFed();
    selector.remove(reader.number);
    reader.close();
    writer.close();
    controller = undefined;
    workerState.ambient!.endSignal = undefined;
  };
  try {
    check(native.setNonBlocking(writer.number, true), 'prepare a pipe');
    // Also in calls that block the thread. It does not keep the event loop alive.
    selector.add(reader.number, () => {
      // The pipe stays readable.
      selector.remove(reader.number);
      selector.later(() => signalOfJob(orphanSignal));
    });
    for (const number of numbers) native.feedSignal(number, writer.number);
  } catch (error) {
    end();
    throw error;
  }
  workerState.ambient!.endSignal = end;
  return new AbortController();
}

function reasonOf(signal: number, runTimeout: number): DOMException {
  if (runTimeout === 0) {
    const text = `The job was asked to end by ${signalName(signal)}`;
    return new DOMException(text, 'AbortError');
  }
  const text = `The job has run for longer than its runTimeout of ${runTimeout} ms`;
  return new DOMException(text, 'TimeoutError');
}
