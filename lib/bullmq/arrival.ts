// What the submitter gets for the end of a job.
import { AbortError, LostResult } from '../errors.js';
import { addStderr } from '../job/future.js';
import type { JobRecord } from '../job/record.js';
import { decode } from '../wire/value.js';
import type { Connection } from './connection.js';
import { type Claimed, type OutcomeEnvelope, unseal } from './envelope.js';
import { refused, unheardLoss } from './errors.js';
import type { Flight } from './flight.js';

export type Arrival =
  | { readonly isError: false; readonly value: unknown }
  | {
      readonly isError: true;
      readonly error: unknown;
      /** Its process died, so it may be started again. */
      readonly isLost: boolean;
    };

/** Throws when the host did not sign it. */
export function outcomeOf(
  { keyring }: Connection,
  flight: Flight,
  claimed: Claimed,
): OutcomeEnvelope {
  const outcome = unseal(keyring, 'outcome', flight.id, claimed);
  if (outcome !== undefined) return outcome as OutcomeEnvelope;
  throw refused('The result of the job is not signed with the `key`');
}

/** Opens the result. Never rejects. */
export async function arrivalOf(
  { parcels }: Connection,
  flight: Flight,
  outcome: OutcomeEnvelope,
): Promise<Arrival> {
  try {
    const { content, lost, outcome: kind } = outcome;
    const value =
      content === undefined ? undefined : decode(await parcels.take(content));
    if (lost !== undefined) {
      const error = lossOf(flight, outcome, value);
      return { isError: true, error, isLost: true };
    }
    if (kind === 'value') return { isError: false, value };
    return { isError: true, error: value, isLost: false };
  } catch (error) {
    if (!(error instanceof LostResult)) {
      return { isError: true, error, isLost: false };
    }
    const { attempt } = flight;
    const { host } = outcome;
    const { reason, cause } = error;
    const loss = unheardLoss(reason!, { attempts: attempt, host, cause });
    return { isError: true, error: loss, isLost: true };
  }
}

function lossOf(
  { attempt }: Flight,
  { host, lost }: OutcomeEnvelope,
  cause: unknown,
): LostResult {
  const { pid, exitCode, signal, limit, reason, stderr } = lost!;
  const error = new LostResult(
    {
      pid,
      exitCode,
      signal,
      host,
      attempts: attempt,
      ...(limit === undefined ? {} : { limit }),
      ...(reason === undefined ? {} : { reason }),
    },
    cause === undefined ? {} : { cause },
  );
  if (stderr !== undefined) addStderr(error, stderr);
  return error;
}

/** Of a call whose signal was aborted, however its job has ended. */
export function abortedBy(
  { reason }: AbortSignal,
  arrival: Arrival,
): AbortError {
  const error = new AbortError(reason);
  const { error: thrown } = arrival as { readonly error?: unknown };
  const { stderr } = (thrown ?? {}) as { readonly stderr?: unknown };
  if (typeof stderr === 'string') addStderr(error, stderr);
  return error;
}

/** For the record. */
export function outcomeFor(
  flight: Flight,
  arrival: Arrival,
): JobRecord['outcome'] {
  if (flight.outcome !== undefined) return flight.outcome;
  if (!arrival.isError) return 'value';
  return arrival.isLost ? 'lost' : 'error';
}
