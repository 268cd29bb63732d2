// A job whose submitter, a job as well, a test kills.
import { readFileSync } from 'node:fs';
import type { Context } from '../../dist/context.js';
import { type Future, LostResult } from '../../dist/index.js';
import { isAlive, stateOf } from './processes.js';
import { rejection } from './thrown.js';

export interface Orphan {
  readonly pid: number;
  readonly killSubmitter: () => Promise<void>;
}

/** `file`: the job has written its pid there. */
export function orphanOf(submitter: Future<unknown>, file: string): Orphan {
  const killSubmitter = async (): Promise<void> => {
    submitter.kill('SIGKILL');
    const error = await rejection(submitter.result());
    expect(error).toBeInstanceOf(LostResult);
  };
  return { pid: Number(readFileSync(file, 'utf8')), killSubmitter };
}

/**
 * Whether an orphan has ended, and was reaped. It is init that reaps what no zygote
 * has forked, which may take seconds.
 */
export function isOver(context: Context, pid: number): boolean {
  return context === 'forkserver' ? stateOf(pid) === 'X' : !isAlive(pid);
}
