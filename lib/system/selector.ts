// The fds that this thread waits for: one set, which blocking calls and the
// event loop share. A turn runs the handlers of the ready fds, and then the
// steps that these handlers have passed to `later`, so that user code runs
// after all handlers. A turn costs as much as there are ready fds, however many
// fds are in the set.
import { clearTimeout, setTimeout } from 'node:timers';
import { Alarms } from './alarms.js';
import { type Watch, check, native, systemError } from './binding.js';
import {
  type Timer,
  longestTimerMs,
  now,
  onDeadline,
  remaining,
} from './deadline.js';
import { Fd } from './fd.js';

// The interval of polling for the end of a process, on a kernel that has no fd
// for it. A worker ends a moment after its result.
const pollMs = 5;

// Opening a set for each job would cost time.
const idleMs = 1000;

// A thread can be terminated between two waits, but not during one.
const longestWaitMs = native.isMainThread ? longestTimerMs : 100;

class Selector {
  #fd = new Fd(-1);
  #watch: Watch | undefined;
  readonly #handlers = new Map<number, () => void>();
  #later: (() => void)[] = [];
  #ready: Int32Array | undefined;
  readonly #polled = new Set<() => void>();
  readonly #alarms = new Alarms(() => {
    this.#run(true, 0);
  });
  #isPollArmed = false;
  readonly #beforeBlocking = new Set<() => void>();
  #holds = 0;
  #hasLoop = true;
  #idleTimer: NodeJS.Timeout | undefined;
  #isInLoop = false;

  /** Whether the event loop calls, and no blocking call. */
  get isInLoop(): boolean {
    return this.#isInLoop;
  }

  /** Calls `onReady` while fd is readable, at end of file or in error. */
  add(fd: number, onReady: () => void): void {
    this.#open();
    check(native.selectorAdd(this.#fd.number, fd), 'watch an fd');
    this.#handlers.set(fd, onReady);
  }

  /** Calls `onReady` while fd, which is not in the set, has room for output. */
  addOutput(fd: number, onReady: () => void): void {
    this.#open();
    const result = native.selectorAddOutput(this.#fd.number, fd);
    check(result, 'watch an fd');
    this.#handlers.set(fd, onReady);
  }

  /**
   * Calls `onEnd` once no process has the writer of the pipe whose reader is `fd`, which
   * is not in the set; on macOS also at times before that.
   */
  addEnd(fd: number, onEnd: () => void): void {
    this.#open();
    const result = native.selectorAddEnd(this.#fd.number, fd);
    check(result, 'watch an fd');
    this.#handlers.set(fd, onEnd);
  }

  /** Like `add`; false when the kernel refuses. */
  tryAdd(fd: number, onReady: () => void): boolean {
    try {
      this.add(fd, onReady);
      return true;
    } catch {
      return false;
    }
  }

  /** Called before the fd is closed. Ignores an fd that is not in the set. */
  remove(fd: number): void {
    if (!this.#handlers.delete(fd)) return;
    native.selectorRemove(this.#fd.number, fd);
    this.#closeWhenIdle();
  }

  /** Calls `onPoll` every few milliseconds, for a change that no fd shows. */
  poll(onPoll: () => void): void {
    this.#polled.add(onPoll);
    if (this.#isPollArmed) return;
    this.#isPollArmed = true;
    onDeadline(now() + pollMs, () => {
      this.#isPollArmed = false;
      this.#runPolled();
      this.flush();
    });
  }

  stopPolling(onPoll: () => void): void {
    this.#polled.delete(onPoll);
  }

  /**
   * Calls back once `ms` milliseconds have passed, in a turn and after the handlers
   * of its fds. Does not keep the event loop alive.
   */
  alarm(ms: number, callback: () => void): Timer {
    return this.#alarms.add(ms, callback);
  }

  /**
   * Calls back before a call blocks the thread: what the callback waits for might
   * not come during that.
   */
  beforeBlocking(callback: () => void): void {
    this.#beforeBlocking.add(callback);
  }

  notBeforeBlocking(callback: () => void): void {
    this.#beforeBlocking.delete(callback);
  }

  /** Keeps the event loop alive until `release` has been called as often. */
  hold(): void {
    this.#holds += 1;
    if (this.#holds === 1) this.#ref(true);
  }

  release(): void {
    this.#holds -= 1;
    if (this.#holds > 0) return;
    this.#ref(false);
    this.#closeWhenIdle();
  }

  /** Runs `step` after the handlers of this turn, or at the next `flush`. */
  later(step: () => void): void {
    this.#later.push(step);
  }

  flush(): void {
    while (this.#later.length > 0) {
      const steps = this.#later;
      this.#later = [];
      for (const step of steps) step();
    }
  }

  /**
   * Blocks until an fd is ready or the time is up (negative: forever), then
   * runs the handlers. May return before either.
   */
  turn(timeoutMs: number): void {
    if (timeoutMs === 0 || this.#beforeBlocking.size === 0) {
      this.#run(false, timeoutMs);
      return;
    }
    for (const callback of [...this.#beforeBlocking]) callback();
    // What the call waits for may have come meanwhile.
    this.#run(false, 0);
  }

  #run(isInLoop: boolean, timeoutMs: number): void {
    const before = this.#isInLoop;
    this.#isInLoop = isInLoop;
    try {
      this.#turn(timeoutMs);
    } finally {
      this.#isInLoop = before;
    }
  }

  #turn(timeoutMs: number): void {
    // A handler may call `turn` itself.
    const ready = this.#ready ?? new Int32Array(64);
    this.#ready = undefined;
    this.#open();
    const count = check(
      native.selectorWait(this.#fd.number, ready, this.#atMost(timeoutMs)),
      'wait',
    );
    // An earlier handler may have removed a later fd.
    for (let i = 0; i < count; i++) this.#handlers.get(ready[i]!)?.();
    this.#ready = ready;
    this.#runPolled();
    this.#alarms.run();
    this.flush();
  }

  /** In a fork without an event loop: drops the parent's set and steps. */
  reset(): void {
    this.#fd.close();
    this.#hasLoop = false;
    this.#watch = undefined;
    this.#handlers.clear();
    this.#later = [];
    this.#polled.clear();
    this.#beforeBlocking.clear();
    this.#alarms.clear();
    this.#isPollArmed = false;
    this.#holds = 0;
  }

  // The loop refers to an open set, and the set to this copy of the module, so
  // that a copy which is not used any more could not be collected.
  #closeWhenIdle(): void {
    if (this.#isUsed || !this.#hasLoop) return;
    this.#idleTimer ??= setTimeout(() => {
      this.closeUnused();
    }, idleMs).unref();
    this.#idleTimer.refresh();
  }

  /** Closes the set if nothing is in it. Called before forks, which would share it. */
  closeUnused(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
    if (this.#isUsed) return;
    if (this.#watch !== undefined) native.unwatch(this.#watch);
    this.#watch = undefined;
    this.#fd.close();
  }

  get #isUsed(): boolean {
    return this.#handlers.size > 0 || this.#holds > 0;
  }

  #atMost(timeoutMs: number): number {
    const most = this.#polled.size > 0 ? pollMs : longestWaitMs;
    const untilAlarm = Math.min(most, remaining(this.#alarms.dueAt));
    return timeoutMs < 0 ? untilAlarm : Math.min(timeoutMs, untilAlarm);
  }

  #runPolled(): void {
    // A callback that is done removes itself; the others are called again.
    for (const onPoll of [...this.#polled]) onPoll();
    for (const onPoll of this.#polled) this.poll(onPoll);
  }

  #open(): void {
    if (this.#fd.number >= 0) return;
    const fd = new Fd(check(native.selectorOpen(), 'open a selector'));
    this.#fd = fd;
    // In a fork, the copy of the parent's loop may still watch this number.
    if (!this.#hasLoop) return;
    const watch = native.watch(fd.number, () => {
      this.#run(true, 0);
    });
    if (typeof watch === 'number') {
      fd.close();
      throw systemError(watch, 'watch the selector');
    }
    this.#watch = watch;
    this.#ref(this.#holds > 0);
    // A turn without any fd opens a set too.
    this.#closeWhenIdle();
  }

  #ref(on: boolean): void {
    if (this.#watch !== undefined) native.refWatch(this.#watch, on);
  }
}

export const selector = new Selector();
