// The answer to one job: at most one frame, and before it what the job reports and the
// message that the worker lends its slot. It goes to the result socket, or to the socket
// of a worker that runs several jobs.
import { native, pollEvents } from '../system/binding.js';
import { type MessageKind, writeFrame } from '../protocol/frame.js';
import type { Encoded } from '../wire/value.js';
import type { Outcome } from './outcome.js';

/** A reader that is gone is no error: the worker ends in any case. */
type Write = (
  kind: MessageKind,
  content: Encoded,
  files?: readonly number[],
) => void;

export class Answer {
  readonly #fd: number;
  readonly #write: Write;
  #isSent = false;
  #isLoanKnown = false;

  /** `write` is for a socket; default: to the result socket. */
  constructor(resultFd: number, write?: Write) {
    this.#fd = resultFd;
    this.#write =
      write ??
      ((kind, content, files) => writeFrame(resultFd, kind, content, files));
  }

  get isSent(): boolean {
    return this.#isSent;
  }

  /** Only the first outcome is sent. Takes over the enclosures, if it has any. */
  send({ kind, content, enclosures }: Outcome): void {
    if (!this.#isSent) {
      this.#isSent = true;
      this.#write(kind, content, enclosures?.files);
    }
    enclosures?.end();
  }

  /** Sends a value that the job reports. Takes over the enclosures. */
  report({ kind, content, enclosures }: Outcome): void {
    // A reader that has the outcome expects no more.
    if (!this.#isSent) this.#write(kind, content, enclosures?.files);
    enclosures?.end();
  }

  /**
   * Tells the submitter, once, that this process lends its slot. False after
   * the answer, when the submitter expects no more.
   */
  announceLoan(): boolean {
    if (this.#isSent) return false;
    if (!this.#isLoanKnown) this.#write('lends', '');
    this.#isLoanKnown = true;
    return true;
  }

  /** True when the submitter is dead: it keeps its end open while it lives. */
  isOrphan(): boolean {
    // Linux reports an error, macOS a hang-up.
    const gone = pollEvents.error | pollEvents.hangUp;
    const fds = Int32Array.of(this.#fd, 0);
    // A dying submitter may still have its end.
    const ready = native.poll(fds, 1, native.orphanPatience());
    return ready > 0 && ((fds[1]! >> 16) & gone) !== 0;
  }
}

let current: Answer | undefined;

/** Makes the answer to the job that begins; exit-report uses it too. */
export function answerOn(resultFd: number, write?: Write): Answer {
  current = new Answer(resultFd, write);
  return current;
}

export function currentAnswer(): Answer | undefined {
  return current;
}
