// What a process that runs a job knows of itself. It is kept on the global
// object, so that two copies of this package in one process agree.
import type { Context } from '../context.js';
import { codedError } from '../errors.js';

/** The slot pipe and the habits of the Jobserver that runs this job. */
export interface Ambient {
  readonly reader: number;
  readonly writer: number;
  readonly slots: number | undefined;
  readonly context: Context;
  readonly preload: readonly string[];
  /** Where to ask the forkserver that this job comes from, or -1. */
  readonly forkserverFd: number;
}

interface WorkerState {
  isWorker: boolean;
  /** Forked from a process without threads: it can be forked again. */
  isForked: boolean;
  /** True until the job's modules are loaded. */
  isImporting: boolean;
  ambient: Ambient | undefined;
  /** What has jobs of its own to see to before the process leaves. */
  readonly busy: Set<Busy>;
  /** Counts the forks between the first process and this one. */
  generation: number;
}

export interface Busy {
  readonly running: number;
  /** No new work from here on. */
  refuse(): void;
  drain(): Promise<void>;
}

const key = Symbol.for('jobserver.workerState');
const globals = globalThis as typeof globalThis & { [key]?: WorkerState };

export const workerState: WorkerState = (globals[key] ??= {
  isWorker: false,
  isForked: false,
  isImporting: false,
  ambient: undefined,
  busy: new Set(),
  generation: 0,
});

/** A module that starts work while a job imports it would do so in every job. */
export function checkNotImporting(): void {
  if (!workerState.isImporting) return;
  throw codedError(
    'ERR_JOBSERVER_IMPORTING',
    'A Jobserver was used while a job imports its module, which would start ' +
      'work again in every job. Guard the main part of the program: in an ES ' +
      "module `import { isWorker } from 'jobserver'` and " +
      '`if (!isWorker) { … }` (or `if (import.meta.main) { … }`), in CommonJS ' +
      '`if (require.main === module) { … }`',
  );
}
