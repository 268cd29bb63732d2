// The call of a job and its preexec. The steps are written once: a job with an
// event loop awaits each; a fork of its submitter has no loop, so each must be
// synchronous.
import { types } from 'node:util';
import type { Callee, Mapping } from '../protocol/order.js';
import { now } from '../system/deadline.js';

export interface JobCall {
  readonly fn: Callee;
  readonly args: () => readonly unknown[];
  /**
   * The result of a list of calls has one more element: how many milliseconds
   * they took.
   */
  readonly mapping: Mapping;
  readonly preexec: Callee | undefined;
  readonly preexecArgs: () => readonly unknown[];
}

/** What a step returned, perhaps a promise, and its name in messages. */
interface Returned {
  readonly value: unknown;
  readonly who: string;
}

/** Yields what a step returned and is resumed with the value or the error. */
type Steps<T> = Generator<Returned, T, unknown>;

export function callAsync(call: JobCall): Promise<unknown> {
  const steps = callSteps(call, Symbol.asyncDispose);
  return finish(steps, steps.next());
}

/** Returns a promise only where a step has returned one. */
export function callEither(call: JobCall): unknown {
  if (call.preexec === undefined && call.mapping === 'none') {
    const value = call.fn(...call.args());
    return isThenable(value) ? settled(value) : value;
  }
  const steps = callSteps(call, Symbol.asyncDispose);
  let step = steps.next();
  while (step.done !== true) {
    const { value } = step.value;
    if (isThenable(value)) return finish(steps, step);
    step = steps.next(value);
  }
  return step.value;
}

async function settled(value: unknown): Promise<unknown> {
  return await value;
}

async function finish(
  steps: Steps<unknown>,
  first: IteratorResult<Returned, unknown>,
): Promise<unknown> {
  let step = first;
  while (step.done !== true) {
    let value: unknown;
    try {
      value = await step.value.value;
    } catch (error) {
      step = steps.throw(error);
      continue;
    }
    step = steps.next(value);
  }
  return step.value;
}

/** Throws a TypeError when a step returns a promise. */
export function callSync(call: JobCall): unknown {
  const steps = callSteps(call, Symbol.dispose);
  let step = steps.next();
  while (step.done !== true) {
    const { value, who } = step.value;
    try {
      checkSync(value, who);
    } catch (error) {
      step = steps.throw(error);
      continue;
    }
    step = steps.next(value);
  }
  return step.value;
}

function* callSteps(call: JobCall, disposal: symbol): Steps<unknown> {
  const dispose = yield* preexecSteps(call, disposal);
  if (dispose === undefined) return yield* functionSteps(call);
  const outcome = yield* settle(functionSteps(call));
  const disposed = yield* settle(disposeSteps(dispose));
  if (disposed.status === 'rejected') {
    throw withCause(disposed.reason, outcome);
  }
  // eslint-disable-next-line @typescript-eslint/only-throw-error -- the job's
  if (outcome.status === 'rejected') throw outcome.reason;
  return outcome.value;
}

/** Returns the function that disposes of what preexec has returned. */
function* preexecSteps(
  { preexec, preexecArgs }: JobCall,
  disposal: symbol,
): Steps<(() => unknown) | undefined> {
  if (preexec === undefined) return undefined;
  const value = yield { value: preexec(...preexecArgs()), who: 'preexec' };
  if (value === undefined || value === null) return undefined;
  const guard = value as Record<symbol, unknown>;
  const dispose = guard[disposal] ?? guard[Symbol.dispose];
  if (typeof dispose === 'function') {
    return () => dispose.call(value) as unknown;
  }
  throw new TypeError(
    'Expected preexec to return nothing or a Disposable, ' +
      `got ${typeof value}`,
  );
}

function* functionSteps({ fn, args, mapping }: JobCall): Steps<unknown> {
  const who = 'The job';
  if (mapping === 'none') return yield { value: fn(...args()), who };
  // With the decoding of the arguments, which takes longer for more calls.
  const began = now();
  const results: unknown[] = [];
  for (const each of args() as readonly (readonly unknown[])[]) {
    if (mapping === 'values') results.push(yield { value: fn(...each), who });
    else results.push(yield* settle(oneCall(fn, each, who)));
  }
  return [...results, now() - began];
}

function* oneCall(
  fn: Callee,
  args: readonly unknown[],
  who: string,
): Steps<unknown> {
  return yield { value: fn(...args), who };
}

function* disposeSteps(dispose: () => unknown): Steps<unknown> {
  return yield { value: dispose(), who: 'The Disposable of preexec' };
}

function* settle(steps: Steps<unknown>): Steps<PromiseSettledResult<unknown>> {
  try {
    return { status: 'fulfilled', value: yield* steps };
  } catch (reason) {
    return { status: 'rejected', reason };
  }
}

/** An error of the disposal replaces that of the call, now its cause. */
function withCause(
  error: unknown,
  outcome: PromiseSettledResult<unknown>,
): unknown {
  const hasNoCause = types.isNativeError(error) && error.cause === undefined;
  if (outcome.status === 'rejected' && hasNoCause) {
    error.cause = outcome.reason;
  }
  return error;
}

function isThenable(value: unknown): boolean {
  const { then } = (value ?? {}) as { then?: unknown };
  return typeof then === 'function';
}

/** Throws a TypeError for a promise. */
export function checkSync(value: unknown, who: string): void {
  if (!isThenable(value)) return;
  throw new TypeError(
    `${who} returned a promise, but a fork of its submitter has no event ` +
      'loop: make it synchronous, or use the forkserver context',
  );
}
