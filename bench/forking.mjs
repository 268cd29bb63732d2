// Jobs of the fork context for start.mjs: node must be started with two flags
// for it, and with those the other contexts would start more slowly. Told how
// many jobs to submit at once to how many slots; answers how long they took.
import { Jobserver } from 'jobserver';
import { nothing } from './jobs.mjs';

const jobservers = new Map();

process.on('message', async ({ slots, count }) => {
  if (!jobservers.has(slots)) {
    jobservers.set(slots, new Jobserver({ context: 'fork', slots }));
  }
  const jobserver = jobservers.get(slots);
  const start = performance.now();
  await Promise.all(
    Array.from({ length: count }, () => jobserver.run(nothing)),
  );
  process.send(performance.now() - start);
});
