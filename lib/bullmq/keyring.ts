// Signs what travels through Redis, so that who can write there cannot make up jobs
// and results.
import { createHmac, timingSafeEqual } from 'node:crypto';

/** A result cannot be passed off as a call. */
export type Purpose = 'call' | 'outcome' | 'report' | 'output';

export class Keyring {
  readonly #key: string | undefined;
  readonly #queue: string;

  /** `key`: undefined signs nothing, and accepts everything. */
  constructor(key: string | undefined, queue: string) {
    this.#key = key;
    this.#queue = queue;
  }

  get hasKey(): boolean {
    return this.#key !== undefined;
  }

  /** '' without a key. */
  sign(purpose: Purpose, jobId: string, bytes: Uint8Array): string {
    if (this.#key === undefined) return '';
    const mac = createHmac('sha256', this.#key);
    // Each with its length, because otherwise two lists could have the same text.
    for (const part of ['jobserver 1', purpose, this.#queue, jobId]) {
      mac.update(`${Buffer.byteLength(part)}:${part}`);
    }
    return mac.update(bytes).digest('base64');
  }

  isGenuine(
    purpose: Purpose,
    jobId: string,
    { bytes, mac }: { readonly bytes: Uint8Array; readonly mac: unknown },
  ): boolean {
    if (this.#key === undefined) return true;
    if (typeof mac !== 'string') return false;
    const given = Buffer.from(mac, 'base64');
    const right = Buffer.from(this.sign(purpose, jobId, bytes), 'base64');
    return given.length === right.length && timingSafeEqual(given, right);
  }
}
