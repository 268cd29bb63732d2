// Every error class and code that a user can see. Nothing here acquires or
// releases anything; messages that need facts take them as arguments.

/** No slot, no admission or no result within the time given. */
export class Blocked extends Error {
  /** 'Blocked'. */
  override readonly name = 'Blocked';
  /** Stable, for a program to compare. */
  readonly code = 'ERR_JOBSERVER_BLOCKED';

  constructor(message = 'Not available within the time given') {
    super(message);
  }
}

/** How a process ended, as far as its parent could learn it. */
export interface Ending {
  readonly pid: number;
  /** Null when a signal ended it, or when nobody could tell. */
  readonly exitCode: number | null;
  /** Null when it exited, or when nobody could tell. */
  readonly signal: NodeJS.Signals | null;
  /** Nothing of the job has run: it can be started again. */
  readonly neverBegan?: boolean;
  /** Why it could not begin. */
  readonly refusal?: Error;
}

/** The job ended without sending a result. */
export class LostResult extends Error implements Ending {
  /** 'LostResult'. */
  override readonly name = 'LostResult';
  /** Stable, for a program to compare. */
  readonly code = 'ERR_JOBSERVER_LOST_RESULT';
  /** Of the process that was lost; 0 when it never began. */
  readonly pid: number;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;

  /** `cause` is what the job could still say before it ended, if anything. */
  constructor(ending: Ending, options?: ErrorOptions) {
    super(`Job ${ending.pid} ended without a result: ${how(ending)}`, options);
    this.pid = ending.pid;
    this.exitCode = ending.exitCode;
    this.signal = ending.signal;
  }
}

function how({ exitCode, signal }: Ending): string {
  if (signal !== null) return `killed by ${signal}`;
  if (exitCode !== null) return `exit code ${exitCode}`;
  return 'nobody could tell how';
}

/**
 * A whenDone callback threw; `cause` is what it threw. Calling the same method
 * again goes on with the remaining callbacks.
 */
export class CallbackRaised extends Error {
  /** 'CallbackRaised'. */
  override readonly name = 'CallbackRaised';
  /** Stable, for a program to compare. */
  readonly code = 'ERR_JOBSERVER_CALLBACK_RAISED';
  /** The number that whenDone returned for the callback. */
  readonly seqno: number;

  constructor(seqno: number, options?: ErrorOptions) {
    if (!Number.isSafeInteger(seqno) || seqno < 0) {
      throw invalidArgument('seqno', 'a non-negative integer', seqno);
    }
    super(`CallbackRaised(seqno=${seqno})`, options);
    this.seqno = seqno;
  }
}

/** The outcome of work that an AbortSignal ended; the shape Node itself uses. */
export class AbortError extends Error {
  override readonly name = 'AbortError';
  readonly code = 'ABORT_ERR';

  constructor(reason: unknown) {
    super('The operation was aborted', { cause: reason });
  }
}

/** Codes of the plain errors that this library throws beside its classes. */
export type JobserverErrorCode =
  | 'ERR_JOBSERVER_CLOSED'
  | 'ERR_JOBSERVER_EXECUTOR_SHUTDOWN'
  | 'ERR_JOBSERVER_FUNCTION'
  | 'ERR_JOBSERVER_IMPORTING'
  | 'ERR_JOBSERVER_NO_BINARY'
  | 'ERR_JOBSERVER_FORK'
  | 'ERR_JOBSERVER_FORKSERVER'
  | 'ERR_JOBSERVER_PRELOAD'
  | 'ERR_JOBSERVER_NOT_SERIALIZABLE'
  | 'ERR_JOBSERVER_NOT_RECONSTRUCTABLE';

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
  return Object.assign(
    new TypeError(
      `Expected \`${name}\` to be ${expected}, got ${show(actual)}`,
    ),
    { code: 'ERR_INVALID_ARG_TYPE' },
  );
}

export function checkOptions<O extends object>(options: O): O {
  if (typeof options === 'object' && options !== null) return options;
  throw invalidArgument('options', 'an object', options);
}

/** A value of the right type that is malformed. */
export function invalidValue(
  name: string,
  expected: string,
  actual: unknown,
): TypeError {
  return Object.assign(
    new TypeError(
      `Expected \`${name}\` to be ${expected}, got ${show(actual)}`,
    ),
    { code: 'ERR_INVALID_ARG_VALUE' },
  );
}

/** A number outside of its range. */
export function outOfRange(
  name: string,
  expected: string,
  actual: unknown,
): RangeError {
  return Object.assign(
    new RangeError(
      `Expected \`${name}\` to be ${expected}, got ${show(actual)}`,
    ),
    { code: 'ERR_OUT_OF_RANGE' },
  );
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
