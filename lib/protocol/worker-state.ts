// What a thread knows about the job that it runs. The state lies on the global
// object of the main realm, so that all copies of this package share it, also
// those in vm contexts.
import type { Context } from '../context.js';
import { codedError } from '../errors.js';
import type { Token } from '../slots/token.js';
import { mainValue } from '../system/main-global.js';
import type { Queue } from '../system/queue.js';
import type { Preparation } from './preparation.js';

/** The slot pipe and the options of the Jobserver that runs this job. */
export interface Ambient {
  readonly reader: number;
  readonly writer: number;
  readonly slots: number | undefined;
  /** That of the SlotPipes which share the pipe. */
  readonly identity: symbol;
  /** See `SlotPipe`. */
  readonly trustee: number;
  /** See `locksOf`. */
  readonly locks: number;
  /** See `Token.byte`. Each job of the worker may have another one. */
  token: number;
  /** The result socket of the job, after those of the jobs that lend its slot. */
  readonly resultSockets: readonly number[];
  /** Called before a process starts that holds the result socket. */
  readonly announceLoan: () => boolean;
  /** Sends a value to the submitter. Throws for one that cannot be sent. */
  readonly report: (value: unknown) => void;
  /** Made by job/job-slot when it is first needed. */
  jobSlot: JobSlot | undefined;
  /** That of the job; the job is not ended by SIGTERM from now on. */
  readonly signal: () => AbortSignal;
  /** Called after a job that has called `signal`. */
  endSignal: (() => void) | undefined;
  readonly context: Context;
  readonly preparation: Preparation;
  /** The socket of the zygote that this process was forked from, or -1. */
  readonly forkserverFd: number;
  /** Signals to this process also go to its process group. */
  readonly leadsGroup: boolean;
}

/** The slot of a job, which one job of its own may use while it waits. */
export interface JobSlot {
  readonly isLent: boolean;
  tryLend(): Token | undefined;
  /** They are called in this order, by the event loop, when it is back. */
  readonly borrowers: Queue<Borrower>;
}

export interface Borrower {
  /** Takes the slot, or leaves the queue. */
  attempt(): void;
}

/** What a job can learn about itself. */
export interface JobFacts {
  /** That of its record. */
  readonly name: string;
  /** 1 for a job of the program, 2 for a job of that job, and so on. */
  readonly depth: number;
  /** The number of this attempt: 1, the default, for the first start. */
  readonly attempt?: number;
  /** Whether its submitter listens to what it reports. */
  readonly isHeard?: boolean;
  /** How the job joins the cluster that it belongs to; undefined for other jobs. */
  readonly cluster?: string | undefined;
}

/** No other job of the pool has the number until it is released. */
export interface HeldNumber {
  readonly number: number;
  release(): void;
}

interface WorkerState {
  isWorker: boolean;
  /** Forked from a process without threads, so it can be forked again. */
  isForked: boolean;
  /** True while the job's modules are imported. */
  isImporting: boolean;
  ambient: Ambient | undefined;
  /** See `versionOf`: that of the modules which the zygote has loaded. */
  preparedVersion: string;
  /** Forked from a zygote that has run its warm-up. */
  isWarm: boolean;
  /** Pools with running or waiting jobs, which end before the process exits. */
  readonly busy: Set<Busy>;
  /** Undefined before the first job of the process. */
  job: JobFacts | undefined;
  /** The number of the job, once it has asked for it. */
  slotNumber: HeldNumber | undefined;
  /** How many forks lie between the first process and this one. */
  generation: number;
}

export interface Busy {
  readonly running: number;
  /** Rejects new submissions from now on. */
  refuse(): void;
  drain(): Promise<void>;
}

export const workerState = mainValue<WorkerState>(
  'jobserver.workerState',
  `({
    isWorker: false,
    isForked: false,
    isImporting: false,
    ambient: undefined,
    preparedVersion: '',
    isWarm: false,
    busy: new Set(),
    job: undefined,
    slotNumber: undefined,
    generation: 0,
  })`,
);

/**
 * Throws while a job imports its modules: work that an import starts would
 * start again in each job.
 */
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
