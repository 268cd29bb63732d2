// A job whose submitter, a job as well, a test kills.
import { readFileSync } from 'node:fs';
import { type Future, LostResult } from '../../dist/index.js';
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
