// Jobs of the fork context for start.mjs: node must be started with two flags
// for it, and with those the other contexts would start more slowly. Told how
// many jobs to submit at once to how many slots, or to none: then it forks and
// ends at once, which is what every fork of a node costs. Answers how long it took.
import { createRequire } from 'node:module';
import { Jobserver } from 'jobserver';
import { nothing } from './jobs.mjs';

const { check, native, pollEvents } = createRequire(import.meta.url)(
  '../dist/system/binding.js',
);
const patienceMs = 10_000;
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
  native.poll(Int32Array.of(exit, pollEvents.in), 1, patienceMs);
  if (native.waitpid(pid, new Int32Array(2)) !== pid) {
    throw new Error('The fork does not end');
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
