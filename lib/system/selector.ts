// Everything this thread waits for: one set of fds, looked at by blocking calls
// and by the event loop alike. A turn handles what is ready, and only then runs
// what those handlers put off with `later`: user code sees finished steps only.
// The cost of a turn is that of the ready fds, however many are in the set.
import { type Watch, check, native, systemError } from './binding.js';
import { at, now } from './deadline.js';
import { Fd } from './fd.js';

// How often to ask where no fd tells: at the end of a process, on a kernel that
// has no fd for one. It ends moments after its result.
const pollMs = 5;

class Selector {
  #fd = new Fd(-1);
  #watch: Watch | undefined;
  readonly #handlers = new Map<number, () => void>();
  #later: (() => void)[] = [];
  readonly #polled = new Set<() => void>();
  #isPollArmed = false;
  #holds = 0;
  #hasLoop = true;

  /** Calls `onReady` while fd is readable, at its end or broken. */
  add(fd: number, onReady: () => void): void {
    this.#open();
    check(native.selectorAdd(this.#fd.number, fd), 'watch an fd');
    this.#handlers.set(fd, onReady);
  }

  /** False when the kernel has no room for it. */
  tryAdd(fd: number, onReady: () => void): boolean {
    if (native.selectorAdd(this.#fd.number, fd) < 0) return false;
    this.#handlers.set(fd, onReady);
    return true;
  }

  /** To be called before the fd is closed; an unknown fd is ignored. */
  remove(fd: number): void {
    if (!this.#handlers.delete(fd)) return;
    native.selectorRemove(this.#fd.number, fd);
  }

  /** Calls `onPoll` every few milliseconds, for what no fd tells. */
  poll(onPoll: () => void): void {
    this.#polled.add(onPoll);
    if (this.#isPollArmed) return;
    this.#isPollArmed = true;
    at(now() + pollMs, () => {
      this.#isPollArmed = false;
      this.#runPolled();
      this.flush();
    });
  }

  stopPolling(onPoll: () => void): void {
    this.#polled.delete(onPoll);
  }

  /** Keeps the event loop alive until as many calls of `release`. */
  hold(): void {
    this.#holds += 1;
    if (this.#holds === 1) this.#ref(true);
  }

  release(): void {
    this.#holds -= 1;
    if (this.#holds === 0) this.#ref(false);
  }

  /** Runs after the current turn's handlers, or at the next `flush`. */
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

  /** Blocks until something is ready or the time is up (negative: for ever), and handles it; may return before either. */
  turn(timeoutMs: number): void {
    // An array of its own, because a step may take turns itself.
    const ready = new Int32Array(64);
    this.#open();
    const count = check(
      native.selectorWait(this.#fd.number, ready, this.#atMost(timeoutMs)),
      'wait',
    );
    // A handler finds nothing to do when an earlier one was quicker.
    for (let i = 0; i < count; i++) this.#handlers.get(ready[i]!)?.();
    this.#runPolled();
    this.flush();
  }

  /** In a fork without an event loop: the parent's set and steps are not ours. */
  reset(): void {
    this.#fd.close();
    this.#hasLoop = false;
    this.#watch = undefined;
    this.#handlers.clear();
    this.#later = [];
    this.#polled.clear();
    this.#isPollArmed = false;
    this.#holds = 0;
  }

  #atMost(timeoutMs: number): number {
    if (this.#polled.size === 0) return timeoutMs;
    return timeoutMs < 0 ? pollMs : Math.min(pollMs, timeoutMs);
  }

  #runPolled(): void {
    // Those that have news take themselves out; the others are asked again.
    for (const onPoll of [...this.#polled]) onPoll();
    for (const onPoll of this.#polled) this.poll(onPoll);
  }

  #open(): void {
    if (this.#fd.number >= 0) return;
    const fd = new Fd(check(native.selectorOpen(), 'open a selector'));
    this.#fd = fd;
    // The number may be one that the parent's loop, a copy here, still watches.
    if (!this.#hasLoop) return;
    const watch = native.watch(fd.number, () => this.turn(0));
    if (typeof watch === 'number') {
      fd.close();
      throw systemError(watch, 'watch the selector');
    }
    this.#watch = watch;
    this.#ref(this.#holds > 0);
  }

  #ref(on: boolean): void {
    if (this.#watch !== undefined) native.refWatch(this.#watch, on);
  }
}

export const selector = new Selector();
