/**
 * A job on a host, as {@link ClusterHost.observe} shows it. Times are milliseconds.
 *
 * @example
 * ```js
 * host.observe({
 *   ended: ({ name, outcome, run }) => console.log(name, outcome, run),
 * });
 * ```
 */
export interface HostedJob {
  /** Of the job in the queue. */
  readonly id: string;
  /** The name of its function, and its file relative to `root`. */
  readonly name: string;
  /** From its submit to its start, by the clock of the server. */
  readonly wait: number;
  /** From its start to its end; undefined while it runs. */
  readonly run: number | undefined;
  /** Of the process of the job; undefined before its start. */
  readonly pid: number | undefined;
  /**
   * 'value' when it has returned, 'error' when it has thrown, 'lost' when its process
   * died or the host had to end it, 'aborted' when its submitter has ended it,
   * 'refused' when it was not started; undefined while it runs.
   */
  readonly outcome:
    'value' | 'error' | 'lost' | 'aborted' | 'refused' | undefined;
  /** Why it was refused or lost, in words. */
  readonly reason: string | undefined;
}

/** What {@link ClusterHost.observe} calls. See {@link HostedJob}. */
export interface HostObserver {
  /** A process has begun the job. */
  started?(job: HostedJob): void;
  /** The job has ended, and its slot is free; or it was refused. */
  ended?(job: HostedJob): void;
  /** Something has gone wrong with the server; the host goes on. */
  error?(error: Error): void;
}
