// How a job of a cluster joins it: the host sends the settings with the order of the
// job, through a socket that only the job has. They are in no environment, which child
// processes would inherit and others could read.
import { codedError } from '../errors.js';
import { workerState } from '../protocol/worker-state.js';
import { bytesOf, decode, encode } from '../wire/value.js';
import type { ClusterSettings } from './options.js';

/** What the executors in a job have in common with its host. */
export interface Joined {
  readonly settings: ClusterSettings;
  /** Whether the host has a store that cannot be sent. */
  readonly hasStore: boolean;
  /** Of the job. */
  readonly priority: number;
}

/** For the facts of a job; undefined when the settings cannot be sent. */
export function joiningOf(
  settings: ClusterSettings,
  priority: number,
): string | undefined {
  const known = latest.get(settings);
  if (known?.priority === priority) return known.text;
  const text = encodeJoined(settings, priority);
  latest.set(settings, { priority, text });
  return text;
}

// Most jobs of a host have the same priority.
const latest = new WeakMap<
  ClusterSettings,
  { readonly priority: number; readonly text: string | undefined }
>();

function encodeJoined(
  { store, ...settings }: ClusterSettings,
  priority: number,
): string | undefined {
  const hasStore = store !== undefined;
  const joined: Joined = {
    settings: { ...settings, store: undefined },
    hasStore,
    priority,
  };
  try {
    return bytesOf(encode(joined, 'settings')).toString('base64');
  } catch {
    // The options of ioredis may have functions.
    return undefined;
  }
}

/** Undefined in a process that is no job of a cluster. */
export function joinedCluster(): Joined | undefined {
  const text = workerState.job?.cluster;
  if (text === undefined) return undefined;
  return decode(new Uint8Array(Buffer.from(text, 'base64'))) as Joined;
}

/** Throws when the job would need the store of its host. */
export function checkStore(joined: Joined | undefined, store: unknown): void {
  if (joined?.hasStore !== true || store !== undefined) return;
  throw codedError(
    'ERR_JOBSERVER_CLUSTER',
    'The host of this job has a `store` of its own: give the same one to the ' +
      'executor in the job',
  );
}
