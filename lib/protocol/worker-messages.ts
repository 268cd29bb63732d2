// The messages between a submitter and a worker that runs several jobs. The
// submitter sends orders, in the format of order-file.ts. The worker sends the
// frames of each job, and says with each message whether it can take another job.
import { errno, systemError } from '../system/binding.js';
import { encodeThrown } from '../wire/value.js';
import type { Frame, MessageKind } from './frame.js';

/** What a worker can do after a message. */
export type Readiness =
  /** It still has to do with the job. */
  | 'busy'
  /** It takes another job. */
  | 'free'
  /** It takes no other job, and ends. */
  | 'last';

export interface Report {
  /** 'none': only the state has changed. */
  readonly kind: MessageKind | 'none';
  readonly state: Readiness;
}

const kinds = ['value', 'error', 'lost', 'lends', 'none'] as const;
const states = ['busy', 'free', 'last'] as const;

/** The `kind` of a message. */
export function packReport({ kind, state }: Report): number {
  return kinds.indexOf(kind) + kinds.length * states.indexOf(state);
}

/** Undefined for a number that `packReport` does not give. */
export function unpackReport(code: number): Report | undefined {
  const kind = kinds[code % kinds.length];
  const state = states[Math.floor(code / kinds.length)];
  return kind === undefined || state === undefined
    ? undefined
    : { kind, state };
}

/** The frame of a report; `bytes`: those of its message. */
export function frameOf(kind: Frame['kind'], bytes: Buffer | undefined): Frame {
  if (bytes !== undefined) return { kind, bytes };
  const error = systemError(-errno.EMFILE, 'receive the result');
  return { kind: 'error', bytes: encodeThrown(error) };
}
