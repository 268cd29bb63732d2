// What the jobs of the chaos do. Each start adds one line to a file, which several
// processes may write at once because one write of few bytes to its end is whole. A job
// with jobs of its own adds two more lines: before the first, and when all have ended.
import { appendFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ClusterExecutor } from 'jobserver/bullmq';
import { store } from './store.mjs';

const bigBytes = 300_000;

/** What `work` returns for a call; undefined if it never returns. */
export function valueOf(call) {
  const { kind, id, parts } = call;
  if (kind === 'value' || kind === 'slow') return `${id}!`;
  if (kind === 'big') return bigOf(call);
  if (kind === 'nested') return parts.map(valueOf).join();
  return undefined;
}

/** As large values travel another way. */
export const bigOf = ({ id }) => Buffer.alloc(bigBytes, id.length);

export async function work(call, starts, big) {
  const { id, kind, ms } = call;
  appendFileSync(starts, `${id}\n`);
  await sleep(ms);
  if (kind === 'throw') throw new RangeError(id);
  if (kind === 'exit') process.exit(3);
  if (kind === 'kill') process.kill(process.pid, 'SIGKILL');
  if (kind === 'big') return big;
  if (kind === 'nested') return nested(call, starts);
  return valueOf(call);
}

async function nested({ parts }, starts) {
  const executor = new ClusterExecutor({ store });
  const values = parts.map((part) => executor.submit(work, part, starts));
  try {
    return (await Promise.all(values)).join();
  } finally {
    await executor.shutdown({ cancelFutures: true });
  }
}

/** Resolves with how many of these run at once, of `count`. */
export async function meet(folder, id, count) {
  writeFileSync(join(folder, id), '');
  const end = performance.now() + 20_000;
  for (;;) {
    const { length } = readdirSync(folder);
    if (length >= count || performance.now() > end) return length;
    await sleep(20);
  }
}
