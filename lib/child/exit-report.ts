// How a worker ends: it reports why, if it has no result yet, and gives its token
// back if it is an orphan. It learns of its end from the functions that Node
// calls, because a job could count and remove listeners.
import { constants } from 'node:os';
import { inspect } from 'node:util';
import { workerState } from '../protocol/worker-state.js';
import { native } from '../system/binding.js';
import { encodeThrown } from '../wire/value.js';
import { exitNow } from './after-fork.js';
import { currentAnswer } from './answer.js';
import { writeLastWords } from './output.js';
import { giveTokenBack } from './worker.js';

type Emit = (this: NodeJS.Process, ...args: unknown[]) => boolean;

interface Internals {
  readonly _exiting: boolean;
  emit: Emit;
  /** Node calls it with an error that nothing has caught; false ends Node. */
  _fatalException: (error: unknown, isRejection: boolean) => boolean;
  /** The last step of `process.exit`. */
  reallyExit: (code: number) => never;
}

const internals = process as unknown as Internals;
// The job may replace them.
const exit = process.exit.bind(process);
let { reallyExit } = internals;

const { signals } = constants;

/** Node opens its inspector on SIGUSR1. The signal must end a job instead. */
export function resetInspectorSignal(): void {
  native.resetSignal(signals.SIGUSR1);
}

/** Called before any code of the job runs, which may wrap the same functions. */
export function reportEndings({
  emit,
}: Pick<Internals, 'emit'> = internals): void {
  ({ reallyExit } = internals);
  Object.defineProperty(process, 'emit', {
    value: observed(emit),
    configurable: true,
    writable: true,
  });
  reportUncaught();
}

let isIdle = false;

/** The loop was empty for a moment only, and goes on. */
export function noteWork(): void {
  isIdle = false;
}

let observedEmit: Emit | undefined;

function observed(emit: Emit): Emit {
  observedEmit = function (...args) {
    const [event, code] = args;
    if (event === 'beforeExit') isIdle = true;
    if (event === 'exit' && internals._exiting) reportExit(Number(code));
    const hasListeners = Reflect.apply(emit, this, args);
    if (event === 'newListener' || event === 'removeListener') {
      keepGuard(code);
    }
    return hasListeners;
  };
  return observedEmit;
}

// Node installs a handler for the first listener to a signal, and none after the
// last one. It does so in a listener to these events.
function keepGuard(event: unknown): void {
  const number = signals[event as NodeJS.Signals] as number | undefined;
  if (number !== undefined) native.keepGuard(number);
}

/** The error that ends this process unless a listener of the job handles it. */
let uncaught: { readonly error: unknown } | undefined;

function reportExit(code: number): void {
  const answer = currentAnswer();
  if (answer === undefined) return;
  if (!answer.isSent) {
    const reason = uncaught === undefined ? whyExit(code) : uncaught.error;
    answer.send({ kind: 'lost', content: encodeThrown(reason) });
  }
  if (answer.isOrphan()) giveTokenBack();
}

function whyExit(code: number): Error {
  return new Error(
    isIdle
      ? 'The promise of the job never settled, and nothing was left to do'
      : `process.exit(${code}) was called before the job had a result`,
  );
}

// Node ends with this code when a listener to uncaught errors throws.
const listenerThrew = 7;

function reportUncaught(): void {
  const dispatch = internals._fatalException;
  internals._fatalException = (error, isRejection) => {
    uncaught = { error };
    try {
      if (dispatch(error, isRejection)) {
        uncaught = undefined;
        return true;
      }
    } catch (thrown) {
      uncaught = { error: thrown };
      fail(thrown, listenerThrew);
      throw thrown;
    }
    fail(error, exitCode(1));
    return false;
  };
}

/** Reports the error that ends this process. */
function fail(error: unknown, code: number): void {
  try {
    reportExit(code);
    if (!workerState.isForked) return;
    writeLastWords(
      `Uncaught ${inspect(error)}\n\nNode.js ${process.version}\n`,
    );
  } finally {
    // Node's own exit waits for threads that a forked child does not have.
    if (workerState.isForked) exitNow(code);
  }
}

/** The exit code that the job has chosen. Node accepts any integer. */
export function exitCode(otherwise = 0): number {
  return Number(process.exitCode ?? otherwise) | 0;
}

/** Does what `process.exit` does, whatever the job has put in its place. */
export function exitAsNode(): never {
  internals.reallyExit = reallyExit;
  return exit(exitCode());
}

/** Whether the job observes its end; if not, reporting it only costs time. */
export function isExitObserved(): boolean {
  return (
    process.listenerCount('exit') > 0 ||
    internals.emit !== observedEmit ||
    internals.reallyExit !== reallyExit
  );
}
