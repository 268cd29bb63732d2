// The messages between an executor and a host, as they lie in Redis.
import type { JobRecord } from '../job/record.js';
import type { Mapping } from '../protocol/order.js';
import type { JobUsage } from '../usage.js';
import { decode, encode, bytesOf } from '../wire/value.js';
import type { SentControls } from './controls.js';
import type { Keyring, Purpose } from './keyring.js';
import type { Parcel } from './parcels.js';
import type { PortableFunction } from './portable-function.js';

/** What a host needs to run a job. */
export interface CallEnvelope {
  /** The executor, which announces that it lives. */
  readonly executor: string;
  readonly isDetached: boolean;
  /** In milliseconds since 1970, by the clock of the executor. */
  readonly sentAt: number;
  /** The name that the record of the job has. */
  readonly name: string;
  readonly fn: PortableFunction;
  readonly mapping: Mapping;
  readonly args: Parcel;
  readonly controls: SentControls;
  readonly priority: number;
  readonly attempt: number;
}

/** What a host says about the end of a job. */
export interface OutcomeEnvelope {
  readonly host: string;
  readonly outcome: NonNullable<JobRecord['outcome']>;
  /** The value, or the error; of a lost job, the cause if it has one. */
  readonly content: Parcel | undefined;
  /** Of a lost job. */
  readonly lost: SentLoss | undefined;
  readonly pid: number;
  /** Milliseconds from the start of the process to its end. */
  readonly run: number;
  readonly usage: JobUsage | undefined;
  readonly timedOut: boolean;
}

/** See `LostResult`. */
export interface SentLoss {
  readonly pid: number;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly limit?: string | undefined;
  readonly reason?: string | undefined;
  readonly stderr?: string | undefined;
}

/** The data of a job, and its return value. */
export interface Sealed {
  /** The message in base64. */
  readonly message: string;
  /** '' where nothing is signed. */
  readonly mac: string;
}

/** A message that another process has written, before it is believed. */
export type Claimed = Partial<Record<keyof Sealed, unknown>> | null | undefined;

export function seal(
  keyring: Keyring,
  purpose: Purpose,
  jobId: string,
  message: unknown,
): Sealed {
  const bytes = bytesOf(encode(message, 'message'));
  const mac = keyring.sign(purpose, jobId, bytes);
  return { message: bytes.toString('base64'), mac };
}

/** Undefined when it was not signed with the key. Throws for malformed bytes. */
export function unseal(
  keyring: Keyring,
  purpose: Purpose,
  jobId: string,
  claimed: Claimed,
): unknown {
  if (typeof claimed?.message !== 'string') return undefined;
  const bytes = Buffer.from(claimed.message, 'base64');
  const { mac } = claimed;
  if (!keyring.isGenuine(purpose, jobId, { bytes, mac })) return undefined;
  // With memory of its own, because values that are decoded are views of it.
  return decode(new Uint8Array(bytes));
}
