// The answer of a worker: at most one frame on the result pipe, and before it
// the message that the worker lends its slot.
import { native, pollEvents } from '../system/binding.js';
import { type FrameKind, writeFrame } from '../protocol/frame.js';

export class Answer {
  readonly #fd: number;
  #isSent = false;
  #isLoanKnown = false;

  constructor(resultFd: number) {
    this.#fd = resultFd;
  }

  get isSent(): boolean {
    return this.#isSent;
  }

  /** Only the first frame is sent. */
  send(kind: FrameKind, bytes: Buffer): void {
    if (this.#isSent) return;
    this.#isSent = true;
    // A pipe without a reader is no error here: the job ends in any case.
    writeFrame(this.#fd, kind, bytes);
  }

  /**
   * Reports to the submitter, once, that this process lends its slot. False after
   * the answer, when the submitter expects no more.
   */
  announceLoan(): boolean {
    if (this.#isSent) return false;
    if (!this.#isLoanKnown) writeFrame(this.#fd, 'lends', Buffer.alloc(0));
    this.#isLoanKnown = true;
    return true;
  }

  /** True when the submitter is dead: it keeps its end open while it lives. */
  isOrphan(): boolean {
    // Linux reports an error, macOS a hang-up.
    const gone = pollEvents.error | pollEvents.hangUp;
    const fds = Int32Array.of(this.#fd, 0);
    return native.poll(fds, 1, 0) > 0 && ((fds[1]! >> 16) & gone) !== 0;
  }
}

let current: Answer | undefined;

/** Makes the answer of this process; exit-report uses it too. */
export function answerOn(resultFd: number): Answer {
  current = new Answer(resultFd);
  return current;
}

export function currentAnswer(): Answer | undefined {
  return current;
}
