// Listeners of an AbortSignal. Calls that share a signal share one listener,
// because Node warns of a leak at eleven.
import { AbortError, invalidArgument } from '../errors.js';

const listeners = new WeakMap<AbortSignal, Set<() => void>>();

export function checkAbortSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || signal === null) return undefined;
  // By shape, because another realm has another class.
  if (
    typeof signal === 'object' &&
    'aborted' in signal &&
    'addEventListener' in signal
  ) {
    return signal as AbortSignal;
  }
  throw invalidArgument('signal', 'an AbortSignal', signal);
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new AbortError(signal.reason);
}

/** Returns the function that removes the listener. */
export function onAbort(
  signal: AbortSignal | undefined,
  listener: () => void,
): () => void {
  if (signal === undefined) return () => undefined;
  const all = listeners.get(signal) ?? listen(signal);
  all.add(listener);
  return () => {
    all.delete(listener);
    if (all.size === 0) unlisten(signal);
  };
}

const dispatchers = new WeakMap<AbortSignal, () => void>();

function listen(signal: AbortSignal): Set<() => void> {
  const all = new Set<() => void>();
  const dispatch = (): void => {
    unlisten(signal);
    for (const listener of all) listener();
  };
  signal.addEventListener('abort', dispatch);
  listeners.set(signal, all);
  dispatchers.set(signal, dispatch);
  return all;
}

function unlisten(signal: AbortSignal): void {
  const dispatch = dispatchers.get(signal);
  if (dispatch === undefined) return;
  signal.removeEventListener('abort', dispatch);
  listeners.delete(signal);
  dispatchers.delete(signal);
}
