// A worker that is a child of this process: only this process can reap it.
import { check, errno, native } from '../system/binding.js';
import type { Ending } from '../errors.js';
import { unpackUsage, usageInts } from '../protocol/usage.js';
import { Fd } from '../system/fd.js';
import { signalName } from '../system/signals.js';
import type { Worker } from './launcher.js';
import { endRemains } from './process-group.js';
import { signalValue } from './signal-value.js';

export class ChildWorker implements Worker {
  readonly pid: number;
  readonly hasBegun = true;
  readonly #exit: Fd;
  /** See `groupGraceOf`. */
  readonly #groupGrace: number;
  #isReaped = false;

  constructor(pid: number, groupGrace: number) {
    this.pid = pid;
    this.#groupGrace = groupGrace;
    // No other process has this pid before the child is reaped. Where the
    // kernel has no exit fd, or no fd is free, only `reap` detects the end.
    this.#exit = new Fd(Math.max(-1, native.exitFd(pid)));
  }

  get exitFd(): number {
    return this.#exit.number;
  }

  reap(): Ending | undefined {
    const status = new Int32Array(2 + usageInts);
    const result = this.#leadsGroup
      ? native.waitLeader(this.pid, status)
      : native.waitpid(this.pid, status);
    if (result === 0) return undefined;
    this.#isReaped = true;
    // Other code of this process has reaped it, so its status is lost.
    if (result === -errno.ECHILD) {
      return { pid: this.pid, exitCode: null, signal: null };
    }
    check(result, 'reap a worker');
    const [code, signal] = status as unknown as [number, number];
    return {
      pid: this.pid,
      exitCode: code < 0 ? null : code,
      signal: signal === 0 ? null : signalName(signal),
      usage: unpackUsage(status, 2),
    };
  }

  kill(signal: number, runTimeout: number): void {
    if (this.#isReaped) return;
    const value = signalValue(runTimeout);
    const { number } = this.#exit;
    const isGroup = this.#leadsGroup;
    const result = native.killWorker(this.pid, number, signal, value, isGroup);
    if (result !== -errno.ESRCH) check(result, 'signal a worker');
  }

  close(): void {
    if (this.#leadsGroup) endRemains(this.pid, this.#exit, this.#groupGrace);
    else this.#exit.close();
  }

  get #leadsGroup(): boolean {
    return this.#groupGrace >= 0;
  }
}
