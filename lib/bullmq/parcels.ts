// Encoded values on their way: small ones are a part of the message, large ones are
// in the store, and the message has their key and what they hash to.
import { createHash } from 'node:crypto';
import { refused, unheardLoss } from './errors.js';
import type { ValueStore } from './value-store.js';

/** Plain data; signed with the message that has it. */
export type Parcel =
  | { readonly bytes: Uint8Array }
  | {
      readonly key: string;
      readonly size: number;
      /** SHA-256 in base64; '' where nothing is signed. */
      readonly hash: string;
    };

/**
 * After so many milliseconds, the store deletes a value that no process has dropped. A job
 * that waits for longer fails if its arguments are in the store.
 */
export const keptMs = 24 * 3_600_000;

// As `ValueStore` promises it. A store may use it as the name of a file, and where
// nothing is signed, anybody may have written it.
const keyFormat = /^[\w-]+(\.[\w-]+)*$/;

export class Parcels {
  readonly #store: ValueStore;
  readonly #inlineBytes: number;
  readonly #isHashed: boolean;

  constructor(store: ValueStore, inlineBytes: number, isHashed: boolean) {
    this.#store = store;
    this.#inlineBytes = inlineBytes;
    this.#isHashed = isHashed;
  }

  /** Rejects with what the store says. Then the store keeps no part of the value. */
  async pack(key: string, bytes: Buffer): Promise<Parcel> {
    if (this.isInline(bytes)) return { bytes };
    const parcel = { key, size: bytes.length, hash: this.#hashOf(bytes) };
    try {
      await this.#store.put(key, bytes, keptMs);
    } catch (error) {
      await this.drop(parcel);
      throw error;
    }
    return parcel;
  }

  isInline(bytes: Buffer): boolean {
    return bytes.length <= this.#inlineBytes;
  }

  /**
   * Rejects with `LostResult` when the store does not have the value, and with another
   * error when that is not the one that was packed.
   */
  async open(parcel: Parcel): Promise<Uint8Array> {
    if ('bytes' in parcel) return parcel.bytes;
    const bytes = await this.#get(parcel.key);
    const isSame = bytes.length === parcel.size;
    if (isSame && this.#hashOf(bytes) === parcel.hash) return bytes;
    throw refused(
      `The value ${parcel.key} in the store is not the one that was put there`,
    );
  }

  /**
   * Opens a value that nobody else needs, and deletes it from the store, also where it
   * cannot be opened.
   */
  async take(parcel: Parcel): Promise<Uint8Array> {
    try {
      return await this.open(parcel);
    } finally {
      await this.drop(parcel);
    }
  }

  /** Deletes a value from the store. Never rejects. */
  async drop(parcel: Parcel | undefined): Promise<void> {
    if (parcel === undefined || 'bytes' in parcel) return;
    if (!keyFormat.test(parcel.key)) return;
    try {
      await this.#store.drop(parcel.key);
    } catch {
      // The store forgets it in time.
    }
  }

  async #get(key: string): Promise<Uint8Array> {
    if (!keyFormat.test(key)) {
      throw refused(`A value has the key ${key}, which no executor makes`);
    }
    try {
      return await this.#store.get(key);
    } catch (cause) {
      const reason = `the store does not have the value ${key}`;
      throw unheardLoss(reason, { cause });
    }
  }

  #hashOf(bytes: Uint8Array): string {
    if (!this.#isHashed) return '';
    return createHash('sha256').update(bytes).digest('base64');
  }
}
