import { existsSync, readFileSync } from 'node:fs';
import type { Context } from '../../dist/context.js';
import {
  type Executor,
  type ExecutorFuture,
  type Jobserver,
  JobserverExecutor,
} from '../../dist/index.js';
import { type Gate, useGates } from '../helpers/gate.js';
import { openJobserver } from '../helpers/jobserver.js';

/** What the tests of executors use to make executors and logs. */
interface ExecutorTools {
  readonly makeGate: () => Gate;
  /** A file to which jobs append lines. */
  readonly newLog: () => string;
  readonly open: (slots?: number) => Jobserver;
  readonly queue: (slots?: number) => Executor;
  /** What a program needs for an executor with one slot. */
  readonly programArgs: () => string[];
}

/** An executor whose jobs run in the slots of a Jobserver, and what ends both. */
export interface Queue {
  readonly executor: Executor;
  /** Of an executor of another process whose jobs run there. */
  readonly options: object;
  readonly close: () => Promise<void>;
}

let makeQueue: ((js: Jobserver) => Queue) | undefined;

/** Tests executors of another class in this test file. */
export function queueBy(make: (js: Jobserver) => Queue): void {
  makeQueue = make;
}

/** Whether executors belong to a Jobserver of this process. */
export function isOfJobserver(): boolean {
  return makeQueue === undefined;
}

/** `test`, unless other executors promise less, or have tests of their own for it. */
export function ofJobserver(name: string, run: () => unknown): void {
  if (isOfJobserver()) test(name, run as () => Promise<void>);
}

/** Call it in a describe block. */
export function useExecutors(context: Context): ExecutorTools {
  const makeGate = useGates();
  const open = (slots = 2): Jobserver => openJobserver({ context, slots });
  const queues: Queue[] = [];
  afterEach(async () => {
    await Promise.all(queues.splice(0).map(({ close }) => close()));
  });
  const makeOther = (make: typeof makeQueue, slots?: number): Queue => {
    const made = make!(open(slots));
    queues.push(made);
    return made;
  };
  return {
    makeGate,
    newLog: () => makeGate().file,
    open,
    queue: (slots) =>
      makeQueue === undefined
        ? new JobserverExecutor(open(slots))
        : makeOther(makeQueue, slots).executor,
    programArgs: () =>
      makeQueue === undefined
        ? [context]
        : [context, JSON.stringify(makeOther(makeQueue, 1).options)],
  };
}

/** The lines that are complete. */
export function linesOf(log: string): string[] {
  if (!existsSync(log)) return [];
  return readFileSync(log, 'utf8').split('\n').slice(0, -1);
}

export function statesOf(work: readonly ExecutorFuture<unknown>[]): string[] {
  return work.map(({ state }) => state);
}

export async function collect<T>(results: AsyncIterable<T>): Promise<T[]> {
  const all = [];
  for await (const each of results) all.push(each);
  return all;
}
