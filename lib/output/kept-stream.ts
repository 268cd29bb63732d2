// The bytes of one stream of a job, in memory: the first and the last ones where
// there are too many.

/** Bytes that have arrived one after another, with none of the other stream between. */
export interface Part {
  /** Its position among the parts of both streams. */
  readonly order: number;
  bytes: Buffer;
  /** How many of the bytes are filled. */
  length: number;
}

const leastRoom = 64;
const mostRoom = 64 << 10;

export class KeptStream {
  readonly #most: number;
  readonly #head: Part[] = [];
  #headBytes = 0;
  #tail: Part[] = [];
  /** The parts of the tail before this one are dropped. */
  #first = 0;
  #tailBytes = 0;
  #missing = 0;

  constructor(mostBytes: number) {
    this.#most = mostBytes;
  }

  /** `bytes` is copied. `order`: the same as before if no other stream was read. */
  add(bytes: Buffer, order: number): void {
    const room = Math.ceil(this.#most / 2) - this.#headBytes;
    const toHead = bytes.subarray(0, room);
    if (toHead.length > 0) {
      append(this.#head, toHead, order);
      this.#headBytes += toHead.length;
    }
    if (toHead.length === bytes.length) return;
    const toTail = bytes.subarray(toHead.length);
    append(this.#tail, toTail, order);
    this.#tailBytes += toTail.length;
    this.#trim();
  }

  #trim(): void {
    for (;;) {
      const surplus = this.#tailBytes - Math.floor(this.#most / 2);
      if (surplus <= 0) break;
      const part = this.#tail[this.#first]!;
      const dropped = Math.min(surplus, part.length);
      this.#missing += dropped;
      this.#tailBytes -= dropped;
      part.bytes = part.bytes.subarray(dropped);
      part.length -= dropped;
      if (part.length === 0) this.#first += 1;
    }
    if (2 * this.#first <= this.#tail.length) return;
    this.#tail = this.#tail.slice(this.#first);
    this.#first = 0;
  }

  /** In their order, with a line in place of what is missing. */
  parts(): Part[] {
    const tail = this.#tail.slice(this.#first);
    if (this.#missing === 0) return [...this.#head, ...tail];
    const bytes = Buffer.from(`\n[${this.#missing} bytes are missing here]\n`);
    const order = tail[0]?.order ?? this.#head.at(-1)?.order ?? 0;
    return [...this.#head, { order, bytes, length: bytes.length }, ...tail];
  }

  bytes(): Buffer {
    return joined(this.parts());
  }
}

export function joined(parts: readonly Part[]): Buffer {
  return Buffer.concat(parts.map(filled));
}

function filled({ bytes, length }: Part): Buffer {
  return bytes.subarray(0, length);
}

function append(parts: Part[], bytes: Buffer, order: number): void {
  const last = parts.at(-1);
  const isNext = last?.order === order;
  if (isNext && last.bytes.length - last.length >= bytes.length) {
    last.length += bytes.copy(last.bytes, last.length);
    return;
  }
  // Parts grow with what arrives, so that there are few of them.
  const twice = isNext ? 2 * last.bytes.length : bytes.length;
  const room = Math.min(mostRoom, Math.max(leastRoom, twice));
  const added = Buffer.allocUnsafeSlow(Math.max(room, bytes.length));
  parts.push({ order, bytes: added, length: bytes.copy(added) });
}
