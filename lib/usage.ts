// What a job has used of the machine.

/**
 * What a job has used: its process, and the child processes that it has waited for.
 *
 * @example
 * ```js
 * const future = await jobserver.submit(compile, ['main.c']);
 * await future.result();
 * const { user, system, peakMemory } = future.usage;
 * console.log(`${user + system} ms of CPU time, ${peakMemory} bytes`);
 * ```
 */
export interface JobUsage extends ProcessUsage {
  /** Milliseconds from the start of the job to its end. */
  readonly wall: number;
}

/** Those of {@link JobUsage} that the kernel counts. */
export interface ProcessUsage {
  /** Milliseconds of CPU time in the program itself. */
  readonly user: number;
  /** Milliseconds of CPU time in the kernel. */
  readonly system: number;
  /**
   * Bytes of physical memory that the process has had at most. Linux counts that of
   * the submitter in a job that was spawned.
   */
  readonly peakMemory: number;
  /** Page faults that needed no input. */
  readonly minorFaults: number;
  /** Page faults that did. */
  readonly majorFaults: number;
  /** How often it has waited for something. */
  readonly voluntarySwitches: number;
  /** How often another process got its CPU. */
  readonly involuntarySwitches: number;
}

export const noUsage: ProcessUsage = {
  user: 0,
  system: 0,
  peakMemory: 0,
  minorFaults: 0,
  majorFaults: 0,
  voluntarySwitches: 0,
  involuntarySwitches: 0,
};

/** Of both; the higher peak. */
export function addUsage(
  a: ProcessUsage | undefined,
  b: ProcessUsage,
): ProcessUsage {
  if (a === undefined) return b;
  return {
    user: a.user + b.user,
    system: a.system + b.system,
    peakMemory: Math.max(a.peakMemory, b.peakMemory),
    minorFaults: a.minorFaults + b.minorFaults,
    majorFaults: a.majorFaults + b.majorFaults,
    voluntarySwitches: a.voluntarySwitches + b.voluntarySwitches,
    involuntarySwitches: a.involuntarySwitches + b.involuntarySwitches,
  };
}
