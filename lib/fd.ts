// The owner of a descriptor. A bare number is only borrowed for a call.
import { check, native } from './binding.js';

export class Fd {
  #number: number;

  constructor(number: number) {
    this.#number = number;
  }

  /** -1 once closed or taken. */
  get number(): number {
    return this.#number;
  }

  /** May be called twice. */
  close(): void {
    if (this.#number < 0) return;
    const number = this.#number;
    this.#number = -1;
    native.close(number);
  }
}

/** An owner of a duplicate; `fd` is borrowed. */
export function duplicate(fd: number): Fd {
  return new Fd(check(native.dup(fd), 'duplicate an fd'));
}

export interface Pipe {
  readonly reader: Fd;
  readonly writer: Fd;
}

export function openPipe(role: string): Pipe {
  const ends = new Int32Array(2);
  check(native.pipe(ends), `open ${role}`);
  return { reader: new Fd(ends[0]!), writer: new Fd(ends[1]!) };
}
