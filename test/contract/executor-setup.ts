import { existsSync, readFileSync } from 'node:fs';
import type { Context } from '../../dist/context.js';
import {
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
  readonly queue: (slots?: number) => JobserverExecutor;
}

/** Call it in a describe block. */
export function useExecutors(context: Context): ExecutorTools {
  const makeGate = useGates();
  const open = (slots = 2): Jobserver => openJobserver({ context, slots });
  return {
    makeGate,
    newLog: () => makeGate().file,
    open,
    queue: (slots) => new JobserverExecutor(open(slots)),
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
