// The spans of jobs, from the records that the jobs append to a file.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Spans {
  /** Times of process.hrtime by the name of the job. */
  readonly starts: ReadonlyMap<string, bigint>;
  readonly ends: ReadonlyMap<string, bigint>;
}

export function openLog(folder: string): string {
  const log = join(folder, 'spans');
  writeFileSync(log, '');
  return log;
}

/**
 * Reads the records that are complete: a reader may see the first part of a
 * record that is being written, since a write across two pages has two steps.
 */
export function readSpans(log: string): Spans {
  const starts = new Map<string, bigint>();
  const ends = new Map<string, bigint>();
  const records = /(start|end) (\S+) (\d+)\n/g;
  for (const [, what, name, time] of readFileSync(log, 'utf8').matchAll(
    records,
  )) {
    (what === 'start' ? starts : ends).set(name!, BigInt(time!));
  }
  return { starts, ends };
}

/**
 * The largest number of jobs that ran at once. A job that was killed has no
 * record of its end; for it, `ends` has a time at which it certainly still ran.
 */
export function mostAtOnce(
  spans: Spans,
  ends: ReadonlyMap<string, bigint> = new Map(),
): number {
  const steps: [time: bigint, change: number][] = [];
  for (const [name, start] of spans.starts) {
    const end = spans.ends.get(name) ?? ends.get(name);
    if (end === undefined) throw new Error(`No end of ${name} is known`);
    // The job was killed as it began.
    if (end <= start) continue;
    steps.push([start, 1], [end, -1]);
  }
  // At equal times, ends come before starts.
  steps.sort(([a, x], [b, y]) => (a === b ? x - y : a < b ? -1 : 1));
  let running = 0;
  let most = 0;
  for (const [, change] of steps) {
    running += change;
    most = Math.max(most, running);
  }
  return most;
}
