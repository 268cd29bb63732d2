// What a job can learn about itself.
import type { Context } from '../context.js';
import type { Jobserver } from '../jobserver.js';
import { workerState } from '../protocol/worker-state.js';

/** What {@link jobInfo} returns. */
export class JobInfo {
  /** Process id of the job. */
  readonly pid: number = process.pid;
  /** How the process of the job was started. */
  readonly context: Context;
  /** The name of its function, as in its {@link JobRecord}. */
  readonly name: string;
  /**
   * 1 for a job of a program that is no job itself, 2 for a job of such a job, and so
   * on.
   */
  readonly depth: number;
  /** 1 for the first start of the job, 2 for the next; see {@link JobControls.retries}. */
  readonly attempt: number;

  /** @internal */
  constructor(context: Context) {
    const { name, depth, attempt = 1 } = workerState.job!;
    this.context = context;
    this.name = name;
    this.depth = depth;
    this.attempt = attempt;
  }

  /**
   * A handle on the pool that the job runs under, as `new Jobserver()` makes one. It
   * is made at the first use, and is the same each time unless it was closed.
   */
  get jobserver(): Jobserver {
    return handleOfJob();
  }
}

/**
 * The job that this process runs; undefined in a process that was not started to
 * run a job.
 *
 * @example
 * ```js
 * export function test(file) {
 *   const { attempt } = jobInfo();
 *   if (attempt > 1) console.log(`${file}: attempt ${attempt}`);
 * }
 * ```
 */
export function jobInfo(): JobInfo | undefined {
  const { ambient, job } = workerState;
  if (ambient === undefined || job === undefined) return undefined;
  return new JobInfo(ambient.context);
}

let handle: Jobserver | undefined;
/** A fork has a copy of the handle of its parent. */
let generation = 0;

function handleOfJob(): Jobserver {
  // Required here, because most jobs do not ask for it.
  const { Jobserver, jobserverControl } =
    require('../jobserver.js') as typeof import('../jobserver.js');
  const isOurs = generation === workerState.generation;
  if (
    handle === undefined ||
    !isOurs ||
    !jobserverControl.pool(handle).isOpen
  ) {
    generation = workerState.generation;
    handle = new Jobserver();
  }
  return handle;
}
