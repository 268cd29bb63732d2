// How long the calls of an executor have waited and run, and what they have used.
import type { RecordableHistogram } from 'node:perf_hooks';
import type { JobRecord } from '../job/record.js';
import { builtin } from '../system/builtins.js';

/** A histogram is made when somebody looks at it, or a call has ended. */
export class CallTimes {
  #wait: RecordableHistogram | undefined;
  #run: RecordableHistogram | undefined;
  #cpu: RecordableHistogram | undefined;

  /** Nanoseconds, as those of the others. */
  get wait(): RecordableHistogram {
    return (this.#wait ??= histogram());
  }

  get run(): RecordableHistogram {
    return (this.#run ??= histogram());
  }

  get cpu(): RecordableHistogram {
    return (this.#cpu ??= histogram());
  }

  /** The call has ended, after its job had started. */
  add({ submittedAt, startedAt, finishedAt, usage }: JobRecord): void {
    this.wait.record(nanoseconds(startedAt! - submittedAt));
    this.run.record(nanoseconds(finishedAt! - startedAt!));
    if (usage === undefined) return;
    this.cpu.record(nanoseconds(usage.user + usage.system));
  }
}

function histogram(): RecordableHistogram {
  return builtin('node:perf_hooks').createHistogram();
}

// A histogram accepts no zero.
function nanoseconds(milliseconds: number): number {
  return Math.max(1, Math.round(milliseconds * 1e6));
}
