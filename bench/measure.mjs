// Medians of repeated measurements, taken in turn so that a change of the
// machine's speed meets all of them alike.
import { cpus, release, totalmem } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** The fork context needs a process that is single-threaded. */
export const threadless = ['--single-threaded', '--v8-pool-size=1'];

/** What precedes each measurement, or row of them. */
export const pauseMs = 60;

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/**
 * Milliseconds of each named async function, a median over the rounds, in each of
 * which it runs so many times in a row. What measures itself returns what elapsed.
 */
export async function inTurn(rounds, actions, inRow = 1) {
  const times = Object.fromEntries(Object.keys(actions).map((k) => [k, []]));
  for (let round = -1; round < rounds; round++) {
    for (const [name, action] of Object.entries(actions)) {
      // What the one before it has left to do is not its own.
      await sleep(pauseMs);
      for (let i = 0; i < inRow; i++) {
        const start = performance.now();
        const own = await action();
        const elapsed = performance.now() - start;
        // The first round warms up.
        if (round >= 0) times[name].push(own?.elapsed ?? elapsed);
      }
    }
  }
  return Object.fromEntries(
    Object.entries(times).map(([name, all]) => [name, median(all)]),
  );
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
