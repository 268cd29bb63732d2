// Cuts the bytes of a stream into lines.
import { StringDecoder } from 'node:string_decoder';

export class Lines {
  readonly #mostLength: number;
  readonly #decoder = new StringDecoder();
  #rest = '';

  /** A longer line comes in parts. */
  constructor(mostLength: number) {
    this.#mostLength = mostLength;
  }

  /** The lines that end in these bytes, without their line breaks. */
  add(bytes: Buffer): string[] {
    const lines = (this.#rest + this.#decoder.write(bytes)).split('\n');
    this.#rest = lines.pop()!;
    if (this.#rest.length > this.#mostLength) {
      lines.push(this.#rest);
      this.#rest = '';
    }
    return lines.map(withoutReturn);
  }

  /** What has no line break. */
  end(): string[] {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = '';
    return rest === '' ? [] : [withoutReturn(rest)];
  }
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}
