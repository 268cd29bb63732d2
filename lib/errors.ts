// Every error class and error code that a user can see. Nothing here acquires
// or releases a resource; facts for a message are passed as arguments.
import type { ProcessUsage } from './usage.js';

/**
 * A timeout passed before there was a slot, the sleep gate admitted the job, or
 * the result arrived.
 *
 * @example
 * ```js
 * try {
 *   await future.result({ timeout: 1000 });
 * } catch (error) {
 *   if (error instanceof Blocked) future.kill(); // still running
 * }
 * ```
 */
export class Blocked extends Error {
  /** 'Blocked'. */
  override readonly name = 'Blocked';
  /** Stable: programs can compare it. */
  readonly code = 'ERR_JOBSERVER_BLOCKED';

  constructor(message = 'Not available within the time given') {
    super(message);
  }
}

/** How a process ended, as far as it is known. */
export interface Ending {
  readonly pid: number;
  /** Null when a signal ended the process, or when its exit code is unknown. */
  readonly exitCode: number | null;
  /** Null when the process exited, or when its signal is unknown. */
  readonly signal: NodeJS.Signals | null;
  /** No code of the job has run, so the job can be started again. */
  readonly neverBegan?: boolean;
  /** How often the job was started; default: once. */
  readonly attempts?: number;
  /** The limit that may have ended the process. */
  readonly limit?: string;
  /** Why the job could not begin. */
  readonly refusal?: Error;
  /** The machine of the job, if that is another one. */
  readonly host?: string;
  /** Why a job of a cluster has no result, in words. */
  readonly reason?: string;
  /**
   * Undefined when other code of this program has reaped the process, or when its
   * zygote has ended before it.
   */
  readonly usage?: ProcessUsage;
}

/**
 * The process of the job ended without sending a result: it was killed, it
 * called `process.exit`, or it crashed.
 *
 * @example
 * ```js
 * try {
 *   await jobserver.run(process.exit, 3);
 * } catch (error) {
 *   if (error instanceof LostResult) console.log(error.exitCode); // 3
 * }
 * ```
 */
export class LostResult extends Error implements Ending {
  /** 'LostResult'. */
  override readonly name = 'LostResult';
  /** Stable: programs can compare it. */
  readonly code = 'ERR_JOBSERVER_LOST_RESULT';
  /** Process id of the worker; 0 when the job never began. */
  readonly pid: number;
  /** Null when a signal ended the worker, or when the exit code is unknown. */
  readonly exitCode: number | null;
  /** Null when the worker exited, or when the signal is unknown. */
  readonly signal: NodeJS.Signals | null;
  /** How often the job was started; see {@link JobControls.retries}. */
  readonly attempts: number;
  /** The limit that has ended the process, or may have, in words. */
  declare readonly limit?: string;
  /** The name of the host that ran the job, of a job of a cluster. */
  declare readonly host?: string;
  /** Of a job of a cluster: why nothing is known about its process, in words. */
  declare readonly reason?: string;
  /**
   * The end of what the job has written to its standard error, at most 64 KiB, if
   * {@link JobControls.output} was 'capture' or 'group'.
   */
  declare readonly stderr?: string;
  /** Of a job of a map: which items of the input are lost. */
  declare readonly items?: {
    /** The index of the first one, from 0. */
    readonly first: number;
    /** The index of the last one. */
    readonly last: number;
  };

  /** `cause` is the error that the worker reported before it ended, if any. */
  constructor(
    ending: Ending,
    options?: ErrorOptions & Pick<LostResult, 'items'>,
  ) {
    const { pid, exitCode, signal, attempts = 1, host } = ending;
    const tries = attempts > 1 ? `; it was attempt ${attempts}` : '';
    const items = options?.items;
    const lost = items === undefined ? '' : `; lost ${named(items)}`;
    const end = `${how(ending)}${tries}${lost}`;
    const where = host === undefined ? '' : ` on host ${host}`;
    super(`Job ${pid}${where} ended without a result: ${end}`, options);
    this.pid = pid;
    this.exitCode = exitCode;
    this.signal = signal;
    this.attempts = attempts;
    if (ending.limit !== undefined) this.limit = ending.limit;
    if (host !== undefined) this.host = host;
    if (ending.reason !== undefined) this.reason = ending.reason;
    if (items !== undefined) this.items = items;
  }
}

function named({ first, last }: NonNullable<LostResult['items']>): string {
  return first === last ? `item ${first}` : `items ${first} to ${last}`;
}

function how({ exitCode, signal, limit, reason }: Ending): string {
  if (reason !== undefined) return reason;
  const why = limit === undefined ? '' : `: ${limit}`;
  if (signal !== null) return `killed by ${signal}${why}`;
  if (exitCode !== null) return `exit code ${exitCode}`;
  return 'its exit code and signal are unknown';
}

/**
 * A callback registered with `whenDone` threw; `cause` is what it threw. The
 * remaining callbacks run later: in the next call, or in the event loop.
 *
 * @example
 * ```js
 * future.whenDone(() => {
 *   throw new Error('in a callback');
 * });
 * try {
 *   await future.result();
 * } catch (error) {
 *   if (error instanceof CallbackRaised) console.log(error.cause.message);
 * }
 * ```
 */
export class CallbackRaised extends Error {
  /** 'CallbackRaised'. */
  override readonly name = 'CallbackRaised';
  /** Stable: programs can compare it. */
  readonly code = 'ERR_JOBSERVER_CALLBACK_RAISED';
  /**
   * The number that whenDone returned for the callback; undefined for a listener:
   * {@link JobControls.onReport} or {@link JobControls.output}.
   */
  readonly seqno: number | undefined;

  constructor(seqno: number | undefined, options?: ErrorOptions) {
    if (seqno !== undefined && !(Number.isSafeInteger(seqno) && seqno >= 0)) {
      throw invalidArgument('seqno', 'a non-negative integer', seqno);
    }
    super(
      seqno === undefined
        ? 'CallbackRaised(listener)'
        : `CallbackRaised(seqno=${seqno})`,
      options,
    );
    this.seqno = seqno;
  }
}

/** The error of an aborted or cancelled call; shaped like Node's AbortError. */
export class AbortError extends Error {
  override readonly name = 'AbortError';
  readonly code = 'ABORT_ERR';

  constructor(reason: unknown) {
    super('The operation was aborted', { cause: reason });
  }
}

/** Codes of the errors that have no class of their own. */
export type JobserverErrorCode =
  | 'ERR_JOBSERVER_CLOSED'
  | 'ERR_JOBSERVER_JOINED'
  | 'ERR_JOBSERVER_EXECUTOR_SHUTDOWN'
  | 'ERR_JOBSERVER_QUEUE_FULL'
  | 'ERR_JOBSERVER_FUNCTION'
  | 'ERR_JOBSERVER_IMPORTING'
  | 'ERR_JOBSERVER_NO_BINARY'
  | 'ERR_JOBSERVER_RUNTIME'
  | 'ERR_JOBSERVER_BUNDLED'
  | 'ERR_JOBSERVER_NO_JOB'
  | 'ERR_JOBSERVER_PORT'
  | 'ERR_JOBSERVER_FORK'
  | 'ERR_JOBSERVER_FORKSERVER'
  | 'ERR_JOBSERVER_PRELOAD'
  | 'ERR_JOBSERVER_NOT_SERIALIZABLE'
  | 'ERR_JOBSERVER_NOT_RECONSTRUCTABLE'
  | 'ERR_JOBSERVER_CLUSTER'
  | 'ERR_JOBSERVER_REFUSED';

export function codedError(
  code: JobserverErrorCode,
  message: string,
  options?: ErrorOptions,
): Error {
  return Object.assign(new Error(message, options), { code });
}

export function codedTypeError(
  code: JobserverErrorCode,
  message: string,
  options?: ErrorOptions,
): TypeError {
  return Object.assign(new TypeError(message, options), { code });
}

/** A value of the wrong type. */
export function invalidArgument(
  name: string,
  expected: string,
  actual: unknown,
): TypeError {
  const error = new TypeError(mismatch(name, expected, actual));
  return Object.assign(error, { code: 'ERR_INVALID_ARG_TYPE' });
}

/** A value of the right type that is malformed. */
export function invalidValue(
  name: string,
  expected: string,
  actual: unknown,
): TypeError {
  const error = new TypeError(mismatch(name, expected, actual));
  return Object.assign(error, { code: 'ERR_INVALID_ARG_VALUE' });
}

/** A number outside of its range. */
export function outOfRange(
  name: string,
  expected: string,
  actual: unknown,
): RangeError {
  const error = new RangeError(mismatch(name, expected, actual));
  return Object.assign(error, { code: 'ERR_OUT_OF_RANGE' });
}

/** A name that no option has. The list has the right names, nearest first. */
export function unknownOption(
  name: string,
  [nearest, ...others]: readonly string[],
): TypeError {
  const quote = (it: string): string => `\`${it.slice(0, 60)}\``;
  const rest = others.length > 0 ? ` (or ${others.map(quote).join(', ')})` : '';
  const error = new TypeError(
    `Expected an option named ${quote(nearest!)}${rest}, got ${quote(name)}`,
  );
  return Object.assign(error, { code: 'ERR_INVALID_ARG_VALUE' });
}

function mismatch(name: string, expected: string, actual: unknown): string {
  return `Expected \`${name}\` to be ${expected}, got ${show(actual)}`;
}

function show(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return '`undefined`';
    case 'string':
      return `\`${JSON.stringify(value.slice(0, 60))}\` (string)`;
    case 'function':
      return `\`${value.name}\` (function)`;
    case 'object':
      if (value === null) return '`null`';
      return `an instance of ${value.constructor?.name ?? 'Object'}`;
    case 'bigint':
      return `\`${value}n\` (bigint)`;
    case 'symbol':
      return `\`${value.toString()}\` (symbol)`;
    case 'number':
    case 'boolean':
      return `\`${value}\` (${typeof value})`;
  }
}
