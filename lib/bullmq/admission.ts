// What a host checks before it runs a job, and how the message of the job becomes a
// call here. Everything in it was written by somebody else.
import { randomUUID } from 'node:crypto';
import type { Call } from '../job/encode-call.js';
import { decode } from '../wire/value.js';
import type { Connection } from './connection.js';
import {
  type CallEnvelope,
  type Claimed,
  type Sealed,
  unseal,
} from './envelope.js';
import { refused, unheardLoss } from './errors.js';
import { joiningOf } from './joined.js';
import type { Job } from './packages.js';
import { keptMs } from './parcels.js';
import { localRefOf } from './portable-function.js';
import type { LivingExecutors } from './presence.js';

/** What all jobs of a host have in common. */
export interface HostTerms {
  readonly connection: Connection;
  /** The name of the host. */
  readonly host: string;
  readonly living: LivingExecutors;
  /**
   * From now on, the host does not renew the lease of the job `id`. The host calls this
   * before it tells the queue that the job has ended, because the queue refuses to renew
   * the lease of a job that has ended.
   */
  settle(id: string): void;
  /** Something has gone wrong with the server or the store; the host goes on. */
  readonly report: (error: Error) => void;
  /** Tells the queue that a job has completed, with this return value. */
  complete(job: Job, value: Sealed): Promise<void>;
}

/** For the clocks of two machines. */
const clockSlackMs = 300_000;

/** Throws when the message was not signed with the key of the host. */
export function envelopeOf(
  { connection: { keyring, settings }, host }: HostTerms,
  job: Job,
): CallEnvelope {
  const envelope = unseal(keyring, 'call', job.id!, job.data as Claimed);
  if (envelope === undefined) {
    throw refused(
      `Host ${host} of the queue ${settings.queue} refuses a job that is not ` +
        'signed with its `key`',
    );
  }
  return envelope as CallEnvelope;
}

/** Rejects when the job may not run: it has run before, or nobody waits for it. */
export async function checkFresh(
  { connection, host, living }: HostTerms,
  { id }: { readonly id: string },
  { executor, isDetached, sentAt }: CallEnvelope,
): Promise<void> {
  const { keyring, redis } = connection;
  const claim = async (): Promise<void> => {
    if (!keyring.hasKey) return;
    const age = Date.now() - sentAt;
    if (age > keptMs || age < -clockSlackMs) {
      throw refused(`Host ${host} refuses a job that was signed too long ago`);
    }
    // Redis keeps the mark for longer than a signature is accepted.
    const key = connection.keyOf(`ran.${id}`);
    const ttl = keptMs + 2 * clockSlackMs;
    const mark = `${host} ${randomUUID()}`;
    const isFirst = await redis.set(key, mark, 'PX', ttl, 'NX');
    if (isFirst !== null) return;
    // A request whose reply was lost is sent again.
    if ((await redis.get(key)) === mark) return;
    throw startedBefore(host);
  };
  const look = async (): Promise<void> => {
    if (isDetached || (await living.has(executor))) return;
    // A server that was away may have forgotten an executor that lives, and which can
    // start the job again.
    throw unheardLoss(orphanText);
  };
  await Promise.all([claim(), look()]);
}

/** The error of a job that must not begin again. */
export function startedBefore(host: string): Error {
  return refused(`Host ${host} refuses a job that has been started before`);
}

export const orphanText = 'the process that has submitted the job is gone';

/** The call that the host is to run. Rejects when it does not run it. */
export async function admit(
  terms: HostTerms,
  job: { readonly id: string },
  envelope: CallEnvelope,
): Promise<Call> {
  await checkFresh(terms, job, envelope);
  return callOf(terms, envelope);
}

/** Throws for a function that this host does not have. */
async function callOf(
  { connection: { parcels, settings }, host }: HostTerms,
  envelope: CallEnvelope,
): Promise<Call> {
  const { fn, name, mapping, args, priority, attempt } = envelope;
  // First, because it costs less.
  const target = localRefOf(fn, settings.root, host);
  const given = decode(await parcels.open(args)) as unknown[];
  const cluster = joiningOf(settings, priority);
  return {
    target,
    fn: name,
    args: given,
    mapping,
    facts: { attempt, cluster },
  };
}
