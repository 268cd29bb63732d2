// What the process of a job enters before the job runs.

/**
 * The limits of {@link JobControls.limits}.
 *
 * @example
 * ```ts
 * const limits = { cpuTime: 60_000, openFiles: 100 };
 * await jobserver.with({ limits }).run(compile, 'main.c');
 * ```
 */
export interface ResourceLimits {
  /** Milliseconds of CPU time, above 0; whole seconds, rounded up, count. */
  readonly cpuTime?: number | undefined;
  /**
   * How many bytes of address space the process may map after its start (Linux only).
   */
  readonly addressSpace?: number | undefined;
  /** Bytes of the largest file that it writes. */
  readonly fileSize?: number | undefined;
  /** One above the highest number of a descriptor. */
  readonly openFiles?: number | undefined;
  /** Bytes of the file that the kernel writes when a signal ends it; 0: none. */
  readonly coreDump?: number | undefined;
}

/** Milliseconds between the signal by which a job is asked to end and SIGKILL. */
export const defaultGraceMs = 5000;

export interface ProcessSettings {
  readonly nice?: number;
  readonly limits?: ResourceLimits;
  /** To be added to that of the submitter. */
  readonly oomScoreAdj?: number;
  /** It does not write where its submitter does. */
  readonly hasOwnOutput?: true;
  /** A process of several jobs measures what each of them uses. */
  readonly isMeasured?: true;
}

/** Whether there is something to enter; otherwise they only say how it is served. */
export function areEntered({
  nice,
  limits,
  oomScoreAdj,
}: ProcessSettings): boolean {
  return (
    nice !== undefined || limits !== undefined || oomScoreAdj !== undefined
  );
}
