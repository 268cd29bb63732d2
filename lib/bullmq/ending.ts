// How a job of a host has ended, and what of it goes to the submitter.
import type { LostResult } from '../errors.js';
import { bytesOf, encode, encodeThrown } from '../wire/value.js';
import type { HostTerms } from './admission.js';
import type { SentLoss } from './envelope.js';
import { textOf, unstored } from './errors.js';
import type { Parcel } from './parcels.js';

export interface Ending {
  readonly isError: boolean;
  readonly value: unknown;
}

export interface PackedEnding extends Ending {
  readonly content: Parcel | undefined;
  /** Of a lost job. */
  readonly lost: SentLoss | undefined;
}

/**
 * Never rejects: what cannot travel, or is not stored, becomes an error that says so.
 * `isLost`: the value is the LostResult of a job, and not one that the job has thrown.
 */
export async function packEnding(
  { connection: { parcels }, host, report }: HostTerms,
  id: string,
  ending: Ending,
  isLost: boolean,
): Promise<PackedEnding> {
  const loss = isLost ? (ending.value as LostResult) : undefined;
  const lost = loss && lossOf(loss);
  const content = undefined;
  if (loss !== undefined && loss.cause === undefined) {
    return { ...ending, lost, content };
  }
  const { isError, value, bytes } = encoded(ending, loss);
  try {
    const packed = await parcels.pack(`${id}.result`, bytes);
    return { isError, value, lost, content: packed };
  } catch (cause) {
    const what = isError ? `the error (${textOf(value)})` : 'the result';
    // Short, so that it is a part of the message.
    const refusal = unstored(
      `Host ${host} could not store ${what}`,
      errorOf(cause),
    );
    report(refusal);
    if (lost !== undefined) return { isError, value, lost, content };
    const text = { bytes: bytesOf(encodeThrown(refusal)) };
    return { isError: true, value: refusal, lost, content: text };
  }
}

function encoded(
  { isError, value }: Ending,
  loss: LostResult | undefined,
): Ending & { readonly bytes: Buffer } {
  if (isError) {
    const bytes = bytesOf(
      encodeThrown(loss === undefined ? value : loss.cause),
    );
    return { isError, value, bytes };
  }
  try {
    return { isError, value, bytes: bytesOf(encode(value, 'result')) };
  } catch (error) {
    // What one machine can share with its jobs, others may not be able to get.
    const bytes = bytesOf(encodeThrown(error));
    return { isError: true, value: error, bytes };
  }
}

function lossOf({
  pid,
  exitCode,
  signal,
  limit,
  reason,
  stderr,
}: LostResult): SentLoss {
  return { pid, exitCode, signal, limit, reason, stderr };
}

/** For BullMQ, which keeps the message and the stack. */
export function errorOf(thrown: unknown): Error {
  const error = new Error(textOf(thrown));
  const { stack } = (thrown ?? {}) as { stack?: unknown };
  error.stack = typeof stack === 'string' ? stack.slice(0, 10_000) : '';
  return error;
}
