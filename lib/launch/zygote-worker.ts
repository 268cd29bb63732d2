// A worker that a zygote has forked. It is the zygote's child, so this process
// learns of its start and end from reports on a socket: the job reports the
// start, the zygote reports the end once it has reaped the job.
import { constants } from 'node:os';
import { type Ending, codedError } from '../errors.js';
import { reportInts, reportKinds } from '../protocol/fds.js';
import { unpackUsage } from '../protocol/usage.js';
import {
  check,
  errno,
  native,
  pollEvents,
  systemError,
} from '../system/binding.js';
import { deadlineAfter, remaining } from '../system/deadline.js';
import { Fd } from '../system/fd.js';
import { obstaclesToForks } from '../system/forkable.js';
import { isFatal, signalName } from '../system/signals.js';
import type { Worker } from './launcher.js';
import { endRemains } from './process-group.js';
import { signalValue } from './signal-value.js';
import { type Zygote, patienceMs } from './zygote.js';

const { SIGTERM } = constants.signals;

export class ZygoteWorker implements Worker {
  readonly #report: Fd;
  readonly #zygote: Zygote;
  /** See `groupGraceOf`. */
  readonly #groupGrace: number;
  /**
   * A pidfd: it never refers to another process. Until the start is reported, a
   * placeholder, which keeps a number free: without one, the kernel drops the pidfd.
   */
  #self: Fd;
  #pid: number | undefined;
  /** The last fatal signal that was sent before the job began. */
  #killedBy = 0;
  /** The zygote is gone, so no report of the end will come. */
  #isAlone = false;
  /** Processes of its group remain, and the zygote that would end them is gone. */
  #leavesGroup = false;
  #ending: Ending | undefined;

  constructor(report: Fd, zygote: Zygote, placeholder: Fd, groupGrace: number) {
    this.#report = report;
    this.#groupGrace = groupGrace;
    this.#self = placeholder;
    this.#zygote = zygote;
  }

  get pid(): number {
    if (this.#pid === undefined) this.#awaitStart();
    return this.#pid ?? 0;
  }

  get exitFd(): number {
    return this.#isAlone ? this.#self.number : this.#report.number;
  }

  get hasBegun(): boolean {
    while (!this.#isKnown) if (!this.#receive()) return false;
    return true;
  }

  reap(): Ending | undefined {
    while (this.#ending === undefined && !this.#isAlone) {
      if (!this.#receive()) return undefined;
    }
    if (this.#ending !== undefined) return this.#ending;
    if (this.#pid !== undefined) {
      const { number } = this.#self;
      const exit = Int32Array.of(number, pollEvents.in);
      if (number >= 0 && native.poll(exit, 1, 0) === 0) return undefined;
      this.#askGroupToEnd(this.#pid);
      return { pid: this.#pid, exitCode: null, signal: null };
    }
    // The zygote died before a child took the request. Its spares die too, but
    // could take a request until then.
    this.#zygote.abandon();
    return this.#neverBegan();
  }

  kill(signal: number, runTimeout: number): void {
    if (this.#pid === undefined) this.#awaitStart();
    if (this.#pid === undefined) {
      if (isFatal(signal)) this.#killedBy = signal;
      return;
    }
    const value = signalValue(runTimeout);
    const { number } = this.#self;
    const isGroup = this.#groupGrace >= 0;
    const result = native.killWorker(this.#pid, number, signal, value, isGroup);
    if (result !== -errno.ESRCH) check(result, 'signal a worker');
  }

  close(): void {
    this.#report.close();
    if (this.#leavesGroup) endRemains(this.pid, this.#self, this.#groupGrace);
    else this.#self.close();
  }

  /** Instead of the zygote. The pid may be that of another process by now. */
  #askGroupToEnd(pid: number): void {
    const { number } = this.#self;
    if (this.#groupGrace < 0 || number < 0) return;
    const result = native.killWorker(pid, number, SIGTERM, 0, true);
    this.#leavesGroup = result === 0;
  }

  /** Whether a child has taken the request, or none will. */
  get #isKnown(): boolean {
    return (
      this.#pid !== undefined || this.#isAlone || this.#ending !== undefined
    );
  }

  /** False when no report is ready. */
  #receive(): boolean {
    if (this.#pid === undefined) {
      const readable = Int32Array.of(this.#report.number, pollEvents.in);
      if (native.poll(readable, 1, 0) === 0) return false;
      this.#self.close();
    }
    const report = new Int32Array(reportInts + 1);
    const length = native.receiveReport(this.#report.number, report);
    if (length === -errno.EAGAIN) return false;
    if (length <= 0) this.#isAlone = true;
    else this.#onReport(report);
    return true;
  }

  #onReport(report: Int32Array): void {
    const [kind, value, signal] = report as unknown as [number, number, number];
    if (kind === reportKinds.started) {
      this.#zygote.hasServed = true;
      this.#pid = value;
      this.#self = new Fd(report[reportInts]!);
    } else if (kind === reportKinds.ended) {
      this.#ending = {
        pid: this.#pid ?? 0,
        exitCode: value < 0 ? null : value,
        signal: signal === 0 ? null : signalName(signal),
        usage: unpackUsage(report, 3),
      };
    } else if (kind === reportKinds.refused) {
      const refusal = systemError(-value, 'fork');
      this.#ending = { pid: 0, exitCode: null, signal: null, refusal };
    } else if (kind === reportKinds.declined) {
      this.#zygote.obstacle = obstaclesToForks[value];
      this.#zygote.abandon();
      this.#isAlone = true;
    } else if (kind === reportKinds.mismatch) {
      this.#zygote.onMismatch();
      this.#isAlone = true;
    }
  }

  /** The job can be started again, unless it was killed meanwhile. */
  #neverBegan(): Ending {
    const unknown = { pid: 0, exitCode: null };
    if (this.#killedBy !== 0) {
      return { ...unknown, signal: signalName(this.#killedBy) };
    }
    const refusal = codedError(
      'ERR_JOBSERVER_FORKSERVER',
      'The forkserver ended before it could start the job; its stderr may ' +
        'say why',
    );
    return { ...unknown, signal: null, neverBegan: true, refusal };
  }

  /** Waits until a child has taken the request. */
  #awaitStart(): void {
    const deadline = deadlineAfter(patienceMs);
    while (!this.#isKnown) {
      if (this.#receive()) continue;
      const readable = Int32Array.of(this.#report.number, pollEvents.in);
      if (native.poll(readable, 1, remaining(deadline)) === 0) return;
    }
  }
}
