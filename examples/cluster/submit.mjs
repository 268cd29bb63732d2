// Submits jobs to the workers, whichever machines they are on.
import { readFileSync } from 'node:fs';
import { ClusterExecutor } from 'jobserver/bullmq';
import { primesBelow } from './jobs.mjs';

const { JOBSERVER_URL, JOBSERVER_KEY_FILE } = process.env;
const executor = new ClusterExecutor({
  connection: JOBSERVER_URL,
  key: readFileSync(JOBSERVER_KEY_FILE, 'utf8').trim(),
  root: new URL('.', import.meta.url),
});
const ends = [1000, 2000, 3000, 4000, 5000, 6000];
const hosts = new Set();
let i = 0;
for await (const { host, count } of executor.map(primesBelow, ends)) {
  console.log(`${count} primes below ${ends[i++]}`);
  hosts.add(host);
}
console.log(`computed on ${[...hosts].sort().join(', ')}`);
await executor.shutdown();
