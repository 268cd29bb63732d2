// Runs the jobs of the fork context for start.mjs, in a process of its own: the
// context needs two flags of node, which would slow down the other contexts. A
// message says how many jobs to submit at once to how many slots. Without slots it
// only forks a process that ends at once, which is the least that a fork of node
// can cost. The answer is the time in milliseconds.
import { createRequire } from 'node:module';
import { Jobserver } from 'jobserver';
import { nothing } from './jobs.mjs';

const { check, native, pollEvents } = createRequire(import.meta.url)(
  '../dist/system/binding.js',
);
const timeoutMs = 10_000;
const jobservers = new Map();

process.on('message', async ({ slots, count }) => {
  const start = performance.now();
  if (slots === 0) forkAlone();
  else await runJobs(slots, count);
  process.send(performance.now() - start);
});

function forkAlone() {
  const pid = check(native.fork(), 'fork');
  if (pid === 0) native.exitNow(0);
  const exit = check(native.exitFd(pid), 'watch a fork');
  native.poll(Int32Array.of(exit, pollEvents.in), 1, timeoutMs);
  if (native.waitpid(pid, new Int32Array(2)) !== pid) {
    throw new Error('The forked process has not ended in time');
  }
  native.close(exit);
}

async function runJobs(slots, count) {
  if (!jobservers.has(slots)) {
    jobservers.set(slots, new Jobserver({ context: 'fork', slots }));
  }
  const jobserver = jobservers.get(slots);
  const jobs = Array.from({ length: count }, () => jobserver.run(nothing));
  await Promise.all(jobs);
}
