// The errors of jobs of which no process is known that has run them.
import { LostResult, codedError } from '../errors.js';

interface LossDetails {
  readonly attempts?: number;
  /** The name of the host that had taken it. */
  readonly host?: string | undefined;
  readonly cause?: unknown;
}

/** `reason`: in words. */
export function unheardLoss(
  reason: string,
  { attempts = 1, host, cause }: LossDetails = {},
): LostResult {
  return new LostResult(
    {
      pid: 0,
      exitCode: null,
      signal: null,
      attempts,
      reason,
      ...(host === undefined ? {} : { host }),
    },
    cause === undefined ? {} : { cause },
  );
}

/** The store or the server does not take something. `what`: as the message begins. */
export function unstored(what: string, cause: unknown): Error {
  const message = `${what}: ${textOf(cause)}`;
  return codedError('ERR_JOBSERVER_CLUSTER', message, { cause });
}

/** The name and the message of what was thrown. */
export function textOf(thrown: unknown): string {
  const { message, name } = (thrown ?? {}) as Partial<Error>;
  if (typeof message !== 'string') return String(thrown).slice(0, 2000);
  const text = name === 'Error' ? message : `${String(name)}: ${message}`;
  return text.slice(0, 2000);
}

/** The same, of a loss only why it was lost. */
export function reasonOf(thrown: unknown): string {
  return (
    (thrown instanceof LostResult ? thrown.reason : undefined) ?? textOf(thrown)
  );
}

/** A host has not started the job, or somebody without the key has written to Redis. */
export function refused(message: string): Error {
  return codedError('ERR_JOBSERVER_REFUSED', message);
}
