// The jobs of the chaos. Each one writes a line with its id to the log before it
// does anything else, so that the log shows how often it began.
import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Jobserver, allocate, move, share } from 'jobserver';

// One write(2) in append mode: lines of different processes do not mix.
function begin(log, id) {
  appendFileSync(log, `${id} ${process.pid}\n`);
}

export function quick(log, id) {
  begin(log, id);
  return { id };
}

export function compute(log, id, ms) {
  begin(log, id);
  const end = performance.now() + ms;
  while (performance.now() < end);
  return { id };
}

export async function pause(log, id, ms) {
  begin(log, id);
  await sleep(ms);
  return { id };
}

/** Its argument and its result travel as files. */
export function large(log, id, bytes) {
  begin(log, id);
  return { id, bytes: bytes.reverse() };
}

/** Its argument and its result travel in memory that processes share. */
export function big(log, id, bytes, kind) {
  begin(log, id);
  const expected = Buffer.alloc(bytes.length, bytes[0]);
  if (!expected.equals(bytes)) throw new Error(`${id} got mixed bytes`);
  if (kind === 'plain') return { id, bytes };
  if (kind === 'moved') return { id, bytes: move(bytes) };
  if (kind === 'allocated') {
    const copy = new Uint8Array(allocate(bytes.length));
    copy.set(bytes);
    return { id, bytes: move(copy) };
  }
  return { id, bytes: new Uint8Array(share(bytes)) };
}

export function fail(log, id) {
  begin(log, id);
  throw new RangeError(`thrown by ${id}`);
}

export function exit(log, id) {
  begin(log, id);
  process.exit(7);
}

export function die(log, id) {
  begin(log, id);
  process.kill(process.pid, 'SIGKILL');
}

/** The process ends after this job. */
export function leaveTimer(log, id) {
  begin(log, id);
  setTimeout(() => undefined, 600_000);
  return { id };
}

/** Runs jobs that run jobs; returns the errors of those that were lost. */
export async function nest(log, id, { depth, width, jobsPerProcess }) {
  begin(log, id);
  const js = new Jobserver({ jobsPerProcess });
  const rest = { depth: depth - 1, width, jobsPerProcess };
  const calls = Array.from({ length: width }, (_, i) =>
    depth === 0
      ? js.run(pause, log, `${id}.${i}`, i)
      : js.run(nest, log, `${id}.${i}`, rest),
  );
  const losses = [];
  for (const { reason, value } of await Promise.allSettled(calls)) {
    if (reason !== undefined && reason.name !== 'LostResult') throw reason;
    losses.push(...(reason === undefined ? (value.losses ?? []) : [reason]));
  }
  await js.close();
  return { id, losses };
}
