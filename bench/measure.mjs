// Medians of repeated measurements. The actions take turns, so that a change in
// the speed of the machine affects all of them equally.
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** The fork context needs a process that is single-threaded. */
export const threadless = ['--single-threaded', '--v8-pool-size=1'];

/** The pause before each measurement, or before several in a row. */
export const pauseMs = 60;

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/** The median time of each named async function: see `timesInTurn`. */
export async function inTurn(rounds, actions, inRow) {
  const times = await timesInTurn(rounds, actions, inRow);
  return Object.fromEntries(
    Object.entries(times).map(([name, all]) => [name, median(all)]),
  );
}

/**
 * Measures each named async function and returns its times in milliseconds. In each
 * round it runs `inRow` times in a row. A function that measures its own time returns
 * that as `elapsed`. `tidy` runs before each of them, and does not count.
 */
export async function timesInTurn(rounds, actions, inRow = 1, tidy) {
  const times = Object.fromEntries(Object.keys(actions).map((k) => [k, []]));
  for (let round = -1; round < rounds; round++) {
    for (const [name, action] of Object.entries(actions)) {
      // The previous action may have work left, which must not count here.
      tidy?.();
      await sleep(pauseMs);
      for (let i = 0; i < inRow; i++) {
        const start = performance.now();
        const own = await action();
        const elapsed = performance.now() - start;
        // The first round is a warm-up.
        if (round >= 0) times[name].push(own?.elapsed ?? elapsed);
      }
    }
  }
  return times;
}

/**
 * The page faults of the children of a process that have ended, with the pages that
 * the kernel has provided ahead of their use. Linux only.
 */
export function faultsOfChildren(pid = 'self') {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[8]);
}

export function table(title, head, rows) {
  const lines = [head, head.map(() => '---'), ...rows];
  console.log(`\n### ${title}\n`);
  for (const line of lines) console.log(`| ${line.join(' | ')} |`);
}

export function machine() {
  const [cpu] = cpus();
  const gib = Math.round(totalmem() / 2 ** 30);
  return (
    `Node ${process.version}, ${process.platform} ${release()}, ` +
    `${cpus().length} × ${cpu?.model ?? 'unknown CPU'}, ${gib} GiB`
  );
}
