// A job server of make with a known set of tokens. Each token is another byte,
// so that one which was lost or given back twice has a name.
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';

export class Slots {
  tokens;
  makeflags;
  #fifo;

  constructor(path, count) {
    execFileSync('mkfifo', [path]);
    this.#fifo = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    this.tokens = Array.from({ length: count }, (_, i) =>
      String.fromCharCode(65 + i),
    );
    writeSync(this.#fifo, this.tokens.join(''));
    this.makeflags = ` -j${count + 1} --jobserver-auth=fifo:${path}`;
  }

  /** Takes all that are free. */
  take() {
    const bytes = Buffer.alloc(4096);
    try {
      const count = readSync(this.#fifo, bytes);
      return [...bytes.toString('latin1', 0, count)].sort();
    } catch (error) {
      if (error.code === 'EAGAIN') return [];
      throw error;
    }
  }

  give(tokens) {
    if (tokens.length > 0) writeSync(this.#fifo, tokens.join(''));
  }

  close() {
    closeSync(this.#fifo);
  }
}
