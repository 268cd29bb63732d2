// Jobs report their progress while they run: one bar for all of them on a terminal, and
// a line now and then in a log. It needs the package `cli-progress`.
import assert from 'node:assert/strict';
import cliProgress from 'cli-progress';
import { Jobserver, isWorker, report } from 'jobserver';

const rounds = 200;

/** Reports how many more rounds it has done. */
export function countPrimes(from, to) {
  let primes = 0;
  const size = (to - from) / rounds;
  for (let round = 0; round < rounds; round++) {
    const start = from + round * size;
    for (let n = start; n < start + size; n++) if (isPrime(n)) primes += 1;
    report(1);
  }
  return primes;
}

function isPrime(n) {
  for (let i = 2; i * i <= n; i++) if (n % i === 0) return false;
  return n > 1;
}

if (!isWorker) {
  const parts = [0, 1, 2, 3].map((i) => [i * 200_000, (i + 1) * 200_000]);

  const jobserver = new Jobserver({ slots: 2 });
  const bar = new cliProgress.SingleBar({
    format: 'primes [{bar}] {percentage} % | {value} of {total}',
    stream: process.stdout,
    noTTYOutput: true, // In a log: a line each 200 ms.
    notTTYSchedule: 200,
  });
  bar.start(parts.length * rounds, 0);
  const onReport = (more) => bar.increment(more);
  const counts = jobserver.with({ onReport }).starmap(countPrimes, parts);
  let primes = 0;
  for await (const count of counts) primes += count;
  bar.stop();

  assert.equal(primes, 63_951);
  assert.equal(bar.value, parts.length * rounds);
  await jobserver.close();
  console.log('\nAll rounds were reported before their jobs were done.');
}
