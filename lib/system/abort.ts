// Listeners of an AbortSignal. Calls that share a signal share one listener,
// because Node warns of a leak at eleven.
import { AbortError, invalidArgument } from '../errors.js';

/** What one process does when a signal is aborted. */
interface Group {
  readonly pid: number;
  readonly listeners: Set<() => void>;
  readonly dispatch: () => void;
}

const groups = new WeakMap<AbortSignal, Group>();

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

/**
 * Returns the function that removes the listener. A fork of this process that
 * aborts its copy of the signal calls no listener of this process.
 */
export function onAbort(
  signal: AbortSignal | undefined,
  listener: () => void,
): () => void {
  if (signal === undefined) return () => undefined;
  const known = groups.get(signal);
  const group = known?.pid === process.pid ? known : listen(signal);
  group.listeners.add(listener);
  return () => {
    group.listeners.delete(listener);
    if (group.listeners.size === 0) unlisten(signal, group);
  };
}

function listen(signal: AbortSignal): Group {
  const group: Group = {
    pid: process.pid,
    listeners: new Set(),
    dispatch: () => {
      if (group.pid !== process.pid) return;
      unlisten(signal, group);
      for (const listener of group.listeners) listener();
    },
  };
  signal.addEventListener('abort', group.dispatch);
  groups.set(signal, group);
  return group;
}

function unlisten(signal: AbortSignal, group: Group): void {
  signal.removeEventListener('abort', group.dispatch);
  if (groups.get(signal) === group) groups.delete(signal);
}
