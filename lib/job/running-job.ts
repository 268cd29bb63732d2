// One running worker, from its start until it is gone: reads the one frame of
// its result pipe, then waits for the process to end and reaps it. The pipe
// decides: a frame is an outcome, end of file is a loss, an open pipe is "not
// yet". Driven by the selector, or by whoever calls `advance`.
import type { Ending } from '../errors.js';
import type { Fd } from '../system/fd.js';
import { type Frame, FrameReader } from '../protocol/frame.js';
import type { Worker } from '../launch/launcher.js';
import { selector } from '../system/selector.js';

export class Job {
  readonly #worker: Worker;
  /** Open until the worker is reaped: a worker takes a closed one for the death of its submitter. */
  readonly #reader: Fd;
  readonly #onGone: (frame: Frame | undefined, ending: Ending) => void;
  #frames: FrameReader | undefined;
  #outcome: Frame | 'end' | undefined;
  #isGone = false;
  /** In the selector; undefined before the end is waited for. */
  #exitFd: number | undefined;

  /** Owns `reader`, which its launcher has put into the selector. */
  constructor(
    worker: Worker,
    reader: Fd,
    onGone: (frame: Frame | undefined, ending: Ending) => void,
  ) {
    this.#worker = worker;
    this.#reader = reader;
    this.#onGone = onGone;
  }

  get pid(): number {
    return this.#worker.pid;
  }

  /** Reads and reaps what there is; never waits. */
  advance(): void {
    if (this.#isGone) return;
    if (this.#outcome === undefined) {
      this.#frames ??= new FrameReader();
      this.#outcome = this.#frames.read(this.#reader.number);
      if (this.#outcome === undefined) return;
      this.#frames = undefined;
      selector.remove(this.#reader.number);
    }
    const ending = this.#worker.reap();
    if (ending === undefined) {
      this.#awaitExit();
      return;
    }
    this.#isGone = true;
    this.#stopAwaiting();
    this.#worker.close();
    this.#reader.close();
    const outcome = this.#outcome;
    this.#onGone(outcome === 'end' ? undefined : outcome, ending);
  }

  kill(signal: number): void {
    if (!this.#isGone) this.#worker.kill(signal);
  }

  #awaitExit(): void {
    const fd = this.#worker.exitFd;
    if (fd === this.#exitFd) return;
    this.#stopAwaiting();
    this.#exitFd = fd;
    if (fd < 0 || !selector.tryAdd(fd, this.#poll)) selector.poll(this.#poll);
  }

  #stopAwaiting(): void {
    if (this.#exitFd !== undefined) selector.remove(this.#exitFd);
    selector.stopPolling(this.#poll);
  }

  readonly #poll = (): void => this.advance();
}
