// What a job leaves behind in its process, so that the next job would find it:
// listeners, open handles, timers, and jobs of its own. Whether modules and
// globals have changed cannot be seen.
import { workerState } from '../protocol/worker-state.js';
import { native } from '../system/binding.js';

/** Of one job, from the moment when its modules are imported. */
export class Leftovers {
  readonly #listeners = countListeners();
  // An immediate of that moment is over when the job is.
  readonly #resources = process
    .getActiveResourcesInfo()
    .filter((resource) => resource !== 'Immediate');

  /** What the job has left behind first; undefined if nothing. */
  find(): string | undefined {
    if (workerState.busy.size > 0) return 'jobs';
    // Node counts none that a job has given up by `unref`.
    const { leadsGroup } = workerState.ambient!;
    if (leadsGroup && native.hasChildInGroup() > 0) return 'child processes';
    if (countListeners() > this.#listeners) return 'listeners on process';
    const left = process.getActiveResourcesInfo().filter(isOfJob);
    // A resource that was there before the job may have gone. It must not make up
    // for one that the job has left.
    for (const known of left.length > 0 ? this.#resources : []) {
      const index = left.indexOf(known);
      if (index >= 0) left.splice(index, 1);
    }
    return left.length > 0 ? left.join(', ') : undefined;
  }
}

function countListeners(): number {
  let count = 0;
  for (const event of process.eventNames()) {
    count += process.listenerCount(event);
  }
  return count;
}

// Node keeps the standard streams open once they were used. An import() settles
// while the file that it has read is still being closed.
function isOfJob(resource: string): boolean {
  return !['PipeWrap', 'TTYWrap', 'CloseReq'].includes(resource);
}
