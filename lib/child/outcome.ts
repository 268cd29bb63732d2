// What a job has returned or thrown, ready to be sent. Large buffers are written
// at once to files that come along, because the job may change them later.
import { Enclosures } from '../memory/enclosures.js';
import type { SegmentPool } from '../memory/segment-pool.js';
import type { MessageKind } from '../protocol/frame.js';
import type { Mapping } from '../protocol/order.js';
import { trace } from '../system/trace.js';
import {
  type Encoded,
  type Store,
  decode,
  encode,
  encodeThrown,
} from '../wire/value.js';

export interface Outcome {
  readonly kind: MessageKind;
  readonly content: Encoded;
  /** Owned. */
  readonly enclosures?: Enclosures | undefined;
}

/**
 * Throws for a value that cannot be sent; but of a list of outcomes, the outcome
 * that cannot be sent becomes the error. `pool`: of a submitter that gets more than
 * one outcome.
 */
export function outcomeOfValue(
  value: unknown,
  mapping: Mapping,
  pool?: SegmentPool,
): Outcome {
  const encodeAll = (all: unknown): Outcome =>
    outcomeOf('value', pool, (store) =>
      encode(all, 'result', undefined, store),
    );
  try {
    return encodeAll(value);
  } catch (error) {
    if (mapping !== 'outcomes') throw error;
    return encodeAll((value as unknown[]).map(sendable));
  }
}

/** Of a value, or of a promise for it. */
export function outcomeOfEither(
  value: unknown,
  mapping: Mapping,
  pool: SegmentPool,
): Outcome | Promise<Outcome> {
  return value instanceof Promise
    ? outcomeOfPromise(value, mapping, pool)
    : outcomeOfValue(value, mapping, pool);
}

async function outcomeOfPromise(
  promise: Promise<unknown>,
  mapping: Mapping,
  pool: SegmentPool,
): Promise<Outcome> {
  try {
    return outcomeOfValue(await promise, mapping, pool);
  } catch (error) {
    return outcomeOfError(error, pool);
  }
}

/** An element of a list of outcomes. */
function sendable(each: unknown): unknown {
  if (typeof each !== 'object') return each;
  const { value, reason } = each as { value?: unknown; reason?: unknown };
  try {
    encode(value, 'result');
    encode(reason, 'thrown');
    return each;
  } catch (error) {
    const thrown = reason === undefined ? error : reason;
    return { status: 'rejected', reason: decode(encodeThrown(thrown)) };
  }
}

export function outcomeOfError(error: unknown, pool?: SegmentPool): Outcome {
  try {
    return outcomeOf('error', pool, (store) => encodeThrown(error, store));
  } catch (reason) {
    return { kind: 'error', content: encodeThrown(reason) };
  }
}

/** Of a value that the job reports. Throws for one that cannot be sent. */
export function encodeReport(value: unknown): Outcome {
  return outcomeOf('report', undefined, (store) =>
    encode(value, 'value', undefined, store),
  );
}

function outcomeOf(
  kind: MessageKind,
  pool: SegmentPool | undefined,
  encodeWith: (store?: Store) => Encoded,
): Outcome {
  let enclosures: Enclosures | undefined;
  const content = encodeWith((ranges) => {
    // Anew, because the value may have been encoded before, in vain.
    enclosures = new Enclosures();
    return enclosures.note(ranges);
  });
  if (enclosures === undefined) return { kind, content };
  enclosures.commit();
  try {
    enclosures.send(pool);
    return { kind, content, enclosures };
  } catch (error) {
    enclosures.end();
    // The sender does not have moved buffers any more.
    if (enclosures.hasMoved) throw error;
    trace('large buffers travel between the other bytes: %s', error);
    return { kind, content: encodeWith() };
  }
}
