// Measures calls in pools, each pool in a process of its own: wall time, and the CPU
// time of that process, its threads and all processes that it has started. The
// system adds up the latter when the process is reaped.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { median } from './measure.mjs';

const program = fileURLToPath(new URL('measured.mjs', import.meta.url));
const timeout = 15 * 60_000;

/**
 * Makes the same calls in each pool. The pools take turns, and those whose name says
 * `fresh` have only one. Returns the medians for each pool. Throws when the results
 * differ from those of one process.
 */
export function comparePools(poolNames, rounds, request) {
  // The first run reads all files into the cache of the system.
  const { digest } = runApart('one process', request);
  const runs = Object.fromEntries(poolNames.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const name of poolNames) {
      if (round > 0 && name.includes('fresh')) continue;
      const run = runApart(name, request);
      if (run.digest !== digest) {
        const { name: task } = request.task;
        throw new Error(`${name} and one process differ in a result: ${task}`);
      }
      runs[name].push(run);
    }
  }
  return Object.fromEntries(
    Object.entries(runs).map(([name, all]) => [name, medians(all)]),
  );
}

function medians(runs) {
  const of = (figure) => median(runs.map(figure));
  return {
    wall: of(({ wall }) => wall),
    cpu: of(({ cpu }) => cpu),
    first: of(({ first }) => first),
    p50: of(({ latencies }) => quantile(latencies, 0.5)),
    p95: of(({ latencies }) => quantile(latencies, 0.95)),
  };
}

function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(part * sorted.length)];
}

function runApart(pool, request) {
  const before = cpuOfChildren();
  const { status, signal, stdout, error } = spawnSync(
    process.execPath,
    [program],
    {
      input: JSON.stringify({ pool, ...request }),
      stdio: ['pipe', 'pipe', 'inherit'],
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
      timeout,
    },
  );
  if (status !== 0) {
    const how = signal ?? `exit code ${status}`;
    throw new Error(`${pool}, ${request.task.name}: ${how}`, { cause: error });
  }
  const cpu = cpuOfChildren() - before;
  return { ...JSON.parse(stdout.trimEnd().split('\n').at(-1)), cpu };
}

/**
 * Milliseconds of CPU time of all processes that this one has reaped, and of those
 * that they have reaped; see proc_pid_stat(5).
 */
function cpuOfChildren() {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  // The name of the program, in parentheses, may contain blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [userTicks, systemTicks] = fields.slice(13, 15).map(Number);
  return 10 * (userTicks + systemTicks);
}
