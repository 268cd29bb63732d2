// Ends the jobs of a host whose submitters are dead.
import type { RunningHostedJob } from './hosted-job.js';
import type { LivingExecutors } from './presence.js';

export class Orphans {
  readonly #living: LivingExecutors;
  /** Executors of jobs here that the last check has not found. */
  #silent: ReadonlySet<string> = new Set();

  constructor(living: LivingExecutors) {
    this.#living = living;
  }

  /** Called again and again with the jobs of the host. */
  async check(all: Iterable<RunningHostedJob>): Promise<void> {
    const jobs = [...all].filter((job) => !job.isDetached);
    const ids = new Set(jobs.map(({ executor }) => executor));
    const living = await this.#living.among([...ids]);
    const silent = [...ids].filter((id) => !living.has(id));
    // After a restart, the server knows an executor only once that has announced itself
    // again, so a single check is no proof.
    const dead = new Set(silent.filter((id) => this.#silent.has(id)));
    this.#silent = new Set(silent);
    for (const job of jobs) {
      if (dead.has(job.executor)) job.orphan();
    }
  }
}
