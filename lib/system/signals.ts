// Maps signal names to the numbers of this system, and back.
import { constants } from 'node:os';
import { invalidArgument, outOfRange } from '../errors.js';

/**
 * The name of a signal, or its number on this system. See {@link Future.kill}.
 */
export type Signal = NodeJS.Signals | number;

export const { SIGKILL } = constants.signals;

const numbers = constants.signals as Partial<Record<string, number>>;
const names = new Map(
  // Of two names for one number, the first is the common one.
  Object.entries(constants.signals)
    .map(([name, number]) => [number, name] as const)
    .reverse(),
);

/** The number of a signal given by the user; 0 probes without signaling. */
export function signalNumber(signal: unknown, argument: string): number {
  if (typeof signal === 'string') {
    const number = numbers[signal];
    if (number !== undefined) return number;
    throw Object.assign(
      invalidArgument(argument, 'the name of a signal', signal),
      { code: 'ERR_UNKNOWN_SIGNAL' },
    );
  }
  if (typeof signal !== 'number') {
    throw invalidArgument(argument, 'the name or number of a signal', signal);
  }
  if (!Number.isInteger(signal) || signal < 0 || signal > 64) {
    throw outOfRange(argument, 'a signal number', signal);
  }
  return signal;
}

/** The number of a signal that a job is to get; undefined: none. */
export function checkKillSignal(
  signal: unknown,
  argument: string,
): number | undefined {
  if (signal === undefined || signal === null) return undefined;
  const number = signalNumber(signal, argument);
  if (number > 0) return number;
  throw outOfRange(argument, 'a signal that a job can get', signal);
}

// Signals whose default action is none, or to stop or continue the process.
const harmless = new Set(
  [
    'SIGCHLD',
    'SIGCONT',
    'SIGSTOP',
    'SIGTSTP',
    'SIGTTIN',
    'SIGTTOU',
    'SIGURG',
    'SIGWINCH',
  ].map((name) => numbers[name]),
);

/** Whether the signal ends a process that has no handler for it. */
export function isFatal(number: number): boolean {
  return number > 0 && !harmless.has(number);
}

export function signalName(number: number): NodeJS.Signals {
  // Node has no names for real-time signals.
  return (names.get(number) ?? `SIG${number}`) as NodeJS.Signals;
}
