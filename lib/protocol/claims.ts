// The page of memory that a submitter shares with a worker which runs several
// jobs. It says which job has begun, whatever happens to the two processes: the
// worker begins a job by claiming it, and the submitter takes one back by
// recalling it; only one of them succeeds. It also has the token that the worker
// holds, for the guard of an orphan.
import { mapBuffer } from '../memory/mappings.js';
import { pageBytes } from '../memory/segment.js';
import { check, native, systemError } from '../system/binding.js';
import { mappingFlags } from '../system/segment-verbs.js';
import { Fd } from '../system/fd.js';

/**
 * A job has the word of its number modulo this, so the numbers of jobs that are
 * not answered must differ by less.
 */
export const jobWords = 64;
/** Where the token is, for C++. */
export const tokenWord = jobWords;

const role = 'share a page with a worker';

export class Claims {
  readonly #words: Int32Array;
  /**
   * The byte of the worker's token + 1, or 0 for none. `native.bindToken` sets it
   * in the submitter. `native.unbindToken` clears it before the token is given
   * back, because a worker that becomes an orphan gives back what stands here.
   */
  readonly token: Int32Array;

  /** `fd`: a segment of `pageBytes`; borrowed. */
  constructor(fd: number) {
    const whole = { offset: 0, length: pageBytes };
    const flags = mappingFlags.shared | mappingFlags.uncounted;
    const page = mapBuffer(fd, pageBytes, flags, whole);
    if (typeof page === 'number') throw systemError(page, role);
    this.#words = new Int32Array(page);
    this.token = this.#words.subarray(tokenWord);
  }

  static open(): { readonly claims: Claims; readonly file: Fd } {
    const file = new Fd(check(native.segmentFile(pageBytes), role));
    try {
      return { claims: new Claims(file.number), file };
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** In the submitter: `job`, a number above 0, may be claimed. */
  offer(job: number): void {
    Atomics.store(this.#words, job % jobWords, job);
  }

  /** In the worker: false when the job was recalled. */
  claim(job: number): boolean {
    return this.#exchange(job, -job);
  }

  /** In the submitter: false when the job was claimed. */
  recall(job: number): boolean {
    return this.#exchange(job, 0);
  }

  /** In the worker: makes the guard read the token from here. */
  guard(): void {
    native.shareToken(this.token);
  }

  #exchange(job: number, to: number): boolean {
    const index = job % jobWords;
    return Atomics.compareExchange(this.#words, index, job, to) === job;
  }
}
