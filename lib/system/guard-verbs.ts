// The verbs of the addon with which a worker guards the token of its job and receives
// the signals by which the job is asked to end.

export interface GuardVerbs {
  /**
   * For a worker: when `signal` arrives and the reader of resultFd is gone, the
   * worker writes `token` to slotFd before the signal ends it. A living
   * submitter keeps the reader open until it has reaped the worker, so a token
   * is never given back twice. slotFd -1: the worker has no token. A handler that
   * the signal had before is called instead, and the worker is ended after its
   * grace period; see `setGrace`.
   */
  guardToken(
    signal: number,
    resultFd: number,
    slotFd: number,
    token: number,
  ): number;
  /**
   * Called when Node has replaced the handler of a signal: if it is guarded, the
   * guard is installed again, and passes the signal on to that handler.
   */
  keepGuard(signal: number): number;
  /**
   * How many milliseconds an orphan that handles its orphan signal may run on
   * after it. Infinity: until it ends by itself.
   */
  setGrace(ms: number): number;
  /**
   * From now on, `signal` does not end this process: a byte is written to fd, which
   * must be non-blocking. fd -1 ends that. Does nothing for a signal that is ignored.
   */
  feedSignal(signal: number, fd: number): number;
  /** Fills the first signal that was fed, or 0, and the value that came with it. */
  fedSignal(signalAndValue: Int32Array): number;
  /** The next signal that is fed counts as the first. */
  forgetFed(): number;
  /**
   * This process leads a process group: a guarded signal that comes because the
   * submitter has died also goes to the group, and SIGKILL after the grace period.
   */
  guardGroup(isOn: boolean): number;
  /**
   * How many milliseconds to wait until a dead submitter shows on the result socket: 0
   * unless a signal has announced its end.
   */
  orphanPatience(): number;
  /** 1 when this process has a child in the process group that it leads, or 0. */
  hasChildInGroup(): number;
  /**
   * Called at the end of an orphan: signals its group as the guard does with a signal,
   * if `guardGroup` is on.
   */
  endGroup(): number;
  /**
   * For a worker that runs several jobs: guard and giveToken write the byte
   * word[0] - 1 instead of their token, and nothing while the word is 0. They
   * set it to 0 first. The word stays in use; an empty array ends that.
   */
  shareToken(word: Int32Array): number;
  /**
   * For a worker that runs in a lent slot, before guardToken: the result sockets
   * of its lenders. While one of them has a reader, neither the guard nor
   * giveToken writes. -E2BIG when there are too many.
   */
  setLenders(resultFds: Int32Array): number;
  /**
   * While isLent is true, neither the guard nor giveToken writes: the process
   * that runs in the slot does so.
   */
  setLent(isLent: boolean): number;
  /**
   * For a worker whose submitter is dead: writes `token` to slotFd, unless a
   * guard has written it.
   */
  giveToken(slotFd: number, token: number): number;
  /**
   * For a worker of the zygote: a guarded signal from process `pid` means that
   * the submitter is dying and that its end of the result socket is about to
   * close.
   */
  setOrphanSignaler(pid: number): number;
}
