// The loss of a job of which no process is known that has run it.
import { LostResult } from '../errors.js';

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
