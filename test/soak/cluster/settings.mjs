// What all processes of a round have in common.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The modules of jobs are in this folder. */
export const root = dirname(fileURLToPath(import.meta.url));
export const slotsOfHost = 2;

/**
 * What a round has is drawn by its seed. Undefined `key`: nothing is signed. Undefined
 * `store`: large values are in Redis. `nests`: some jobs have jobs of their own.
 */
export function drawTerms(random, { leaseMs, retries }, storeFolder) {
  return {
    leaseMs,
    retries,
    key: random.chance(0.5) ? 'the key of the chaos' : undefined,
    jobsPerProcess: random.pick([1, 1, 4, Infinity]),
    store: random.chance(0.5) ? storeFolder : undefined,
    nests: random.chance(0.5),
  };
}

/** Variables of the hosts and submitters. */
export function environmentOf({ key, store }) {
  return { JOBSERVER_KEY: key, CHAOS_STORE: store };
}

/** For a message. */
export function describeTerms({ key, jobsPerProcess, store, nests }) {
  const texts = [];
  if (key !== undefined) texts.push(', a key');
  if (jobsPerProcess > 1) texts.push(`, ${jobsPerProcess} jobs per process`);
  if (store !== undefined) texts.push(', a store');
  if (nests) texts.push(', nested jobs');
  return texts.join('');
}
