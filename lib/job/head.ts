// The head of an order: what a job is, without its arguments.
import type { FunctionRef } from '../functions/function-ref.js';
import { memoryLimit } from '../memory/usage.js';
import { type Head, endOf, isEndOf, packHead } from '../protocol/order.js';
import { type JobFacts, workerState } from '../protocol/worker-state.js';
import type { SlotPipe } from '../slots/slot-pipe.js';
import type { Controls } from './controls.js';
import type { Call } from './encode-call.js';
import { recordName } from './record.js';

/** What the job can learn about itself. */
export function factsOf({ fn, facts }: Call, { onReport }: Controls): JobFacts {
  return {
    name: recordName(fn),
    depth: depthOfJobs(),
    isHeard: onReport !== undefined,
    ...facts,
  };
}

/** The depth of the jobs that this process submits. */
function depthOfJobs(): number {
  return (workerState.job?.depth ?? 0) + 1;
}

export function headOf(
  controls: Controls,
  slotPipes: readonly SlotPipe[],
  call: Pick<
    Head,
    keyof JobFacts | 'fn' | 'mapping' | 'preexec' | 'imports' | 'ports'
  >,
): Head {
  const { context, preparation, settings } = controls;
  return {
    ...call,
    context,
    warmUp: preparation.warmUp,
    ...endOf(controls),
    memoryLimit: memoryLimit(),
    settings,
    hasClaims: false,
    slots: slotPipes.map((pipe) => pipe.count),
  };
}

interface PlainHead {
  readonly head: Head;
  readonly bytes: Buffer;
  readonly functions: readonly FunctionRef[];
}

const plainHeads = new WeakMap<FunctionRef, PlainHead>();

/**
 * The head of the last job with this function if no field of it differs: most jobs
 * call the function of the job before, with the same options.
 */
export function plainHead(
  fn: FunctionRef,
  call: Call,
  controls: Controls,
  slots: SlotPipe,
): PlainHead {
  const { mapping } = call;
  const known = plainHeads.get(fn);
  if (
    known?.head.mapping === mapping &&
    known.head.name === recordName(call.fn) &&
    known.head.depth === depthOfJobs() &&
    known.head.isHeard === (controls.onReport !== undefined) &&
    known.head.context === controls.context &&
    known.head.warmUp === controls.preparation.warmUp &&
    known.head.settings === controls.settings &&
    isEndOf(known.head, controls) &&
    known.head.memoryLimit === memoryLimit() &&
    known.head.slots[0] === slots.count
  ) {
    return known;
  }
  const facts = factsOf(call, controls);
  const plain = { ...facts, fn, mapping, preexec: undefined, imports: [] };
  const head = headOf(controls, [slots], plain);
  const added = { head, bytes: packHead(head), functions: [fn] };
  plainHeads.set(fn, added);
  return added;
}
