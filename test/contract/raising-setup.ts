import type { Future, Jobserver } from '../../dist/index.js';
import { waitAt } from '../fixtures/gate-jobs.js';
import { identity } from '../fixtures/jobs.js';
import { type Gate, useGates } from '../helpers/gate.js';
import { rejection } from '../helpers/thrown.js';

const noWait = { timeout: 0 };

interface Raising {
  readonly future: Future<unknown>;
  readonly gate: Gate;
  /** Indexes of the callbacks that have run. */
  readonly called: number[];
}

type Observe = (js: Jobserver, future: Future<unknown>) => unknown;

export const ofFuture: [string, Observe][] = [
  ['done', (_, future) => future.done()],
  ['wait', (_, future) => future.wait(noWait)],
  ['waitSync', (_, future) => future.waitSync(noWait)],
  ['result', (_, future) => future.result(noWait)],
  ['resultSync', (_, future) => future.resultSync(noWait)],
];

export const ofJobserver: [string, Observe][] = [
  ['submit', (js) => js.submit(identity, [1])],
  ['submitSync', (js) => js.submitSync(identity, [1])],
  ['run', (js) => js.run(identity, 1)],
  ['reclaimResources', (js) => js.reclaimResources()],
];

export const ofClosing: [string, Observe][] = [
  ['close', (js) => js.close()],
  ['closeSync', (js) => js.closeSync()],
];

/** What a call throws or rejects with. */
export async function failure(observe: () => unknown): Promise<unknown> {
  return rejection((async () => observe())());
}

/**
 * Returns a function that submits a job with callbacks that throw `causes`, and
 * a last callback that returns. Call it in a describe block.
 */
export function useRaising(): (
  js: Jobserver,
  ...causes: unknown[]
) => Promise<Raising> {
  const makeGate = useGates();
  return async (js, ...causes) => {
    const gate = makeGate();
    const future = await js.submit(waitAt, [gate.file, 'value']);
    const called: number[] = [];
    for (const [i, cause] of causes.entries()) {
      future.whenDone(() => {
        called.push(i);
        throw cause;
      });
    }
    future.whenDone(() => called.push(causes.length));
    return { future, gate, called };
  };
}
